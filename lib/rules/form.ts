// The forms of a rule, by the place of its deadlines.

/**
 * Where a rule's deadline is: on the order's row (`deadline`), computed from a column of the row (`since`), or only in Redis
 * (`redis`: a rule with `deadline: false`; `handler`: a plain function).
 */
export type RuleForm = 'deadline' | 'since' | 'redis' | 'handler'

export type RowForm = Exclude<RuleForm, 'handler'>
