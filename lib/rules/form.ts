// The forms of a rule, which say where its deadlines live.

/**
 * Where a rule's deadline lives: on the order's row (`deadline`), computed from a column of the row (`since`), or in Redis alone
 * (`redis`: a rule with `deadline: false`; `handler`: a plain function).
 */
export type RuleForm = 'deadline' | 'since' | 'redis' | 'handler'

export type RowForm = Exclude<RuleForm, 'handler'>
