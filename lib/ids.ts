// Order ids as text, checked by the type of the model's primary key before they are used in SQL or Redis. A BIGINT is never converted to a
// number of JavaScript or Lua, which would lose digits. (Postgres itself would read ' 2 ' as the integer 2.)

/** Turns an id (a key's text, a number, a bigint) into its canonical text, or null if it is not an id of that type. */
export type IdParser = (value: unknown) => string | null

const WHOLE = /^[1-9][0-9]{0,18}$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9_.~-]{0,127}$/

const LARGEST = { SMALLINT: 32_767n, INTEGER: 2_147_483_647n, BIGINT: 9_223_372_036_854_775_807n }

/** The parser of a whole-number primary key; `type` is Sequelize's name of the type. */
export function wholeNumberId(type: keyof typeof LARGEST): IdParser {
  const largest = LARGEST[type]
  return (value) => {
    const text = textOf(value)
    return text !== null && WHOLE.test(text) && BigInt(text) <= largest ? text : null
  }
}

/** UUIDs in any letter case; canonical is lower case, as Postgres prints them. */
export const uuidId: IdParser = (value) => (typeof value === 'string' && UUID.test(value) ? value.toLowerCase() : null)

/** What `nameId` takes, for error messages. */
export const NAMES = 'letters, digits and _ . ~ - (128 at most, the first no . or ~)'

/** Ids that are text, such as nanoid's, and the ids of plain handlers. */
export const nameId: IdParser = (value) => {
  const text = textOf(value)
  return text !== null && NAME.test(text) ? text : null
}

function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (typeof value === 'bigint') return String(value)
  return Number.isSafeInteger(value) ? String(value) : null
}
