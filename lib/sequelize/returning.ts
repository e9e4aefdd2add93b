// Makes one of the shop's statements also return expressions, as text. Sequelize's `returning` takes only column names, and their values depend on the
// driver's type parsers.

/** An expression to return: over the row's own columns, and over the record that a statement with Sequelize's `exception` option returns. */
export interface Returned {
  name: string
  sql: string
  ofRecord: string
}

/** The option that names the expressions; it travels with the statement's own options. */
export const RETURNED = 'orderTimersReturned'

interface ReturnValues {
  returnFields: string[]
  returningFragment: string
}

interface Generator {
  generateReturnValues(attributes: unknown, options: { exception?: unknown; [RETURNED]?: readonly Returned[] }): ReturnValues
}

/** As Sequelize's insertQuery names the record under `exception`. */
export const RECORD = '(testfunc.response)'

/** The same query interface, whose statements also return what their option `RETURNED` names, if they return anything. */
export function returningMore<Queries extends object>(queries: Queries): Queries {
  const { queryGenerator } = queries as { queryGenerator: Generator }
  const generateReturnValues: Generator['generateReturnValues'] = function (this: Generator, attributes, options) {
    const values = queryGenerator.generateReturnValues.call(this, attributes, options)
    const more = options[RETURNED] ?? []
    if (more.length === 0) return values
    const list = (form: 'sql' | 'ofRecord') => more.map((one) => `, ${one[form]} AS ${one.name}`).join('')
    const fields = values.returnFields.join(`, ${RECORD}.`)
    return {
      ...values,
      // Sequelize puts the record's name before each field, and so all of ours follow the last one in one text.
      returnFields: options.exception ? [`${fields}${list('ofRecord')}`] : values.returnFields,
      returningFragment: `${values.returningFragment}${list('sql')}`,
    }
  }
  const generator: unknown = Object.create(queryGenerator, { generateReturnValues: { value: generateReturnValues } })
  return Object.create(queries, { queryGenerator: { value: generator } }) as Queries
}
