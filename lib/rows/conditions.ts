// SQL conditions: each is separate, and a statement joins the ones that it needs once.

/** A condition on a row; undefined if there is nothing to ask. */
export type Condition = string | undefined

const ALWAYS = 'TRUE'

/** All of these, joined by AND. A condition that contains OR must be in parentheses. */
export function allOf(conditions: readonly Condition[]): string {
  const asked = conditions.filter((condition) => condition !== undefined && condition !== ALWAYS)
  return asked.length === 0 ? ALWAYS : asked.join(' AND ')
}
