// Statements of SQL: SELECT, INSERT, UPDATE, DELETE over the model's tables. Each runs at one instant, and is run again from its beginning
// where it had to wait for a row: so it sees what was committed meanwhile, as READ COMMITTED looks at a locked row again.

import {
  coerce,
  compareValues,
  compile,
  type Expression,
  type Names,
  type Node,
  type Relation,
  type Scope,
  type SessionOfStatement,
} from './expressions.js'
import { type Column, MustWait, type StoredRow, type Table, type Transaction } from './tables.js'
import { SqlError, type Type, typeNamed, type Value } from './values.js'

export { MustWait }

export interface Result {
  columns: { name: string; type: Type }[]
  rows: Value[][]
  tag: string
}

export interface Execution {
  transaction: Transaction
  session: SessionOfStatement
  params: (string | null)[]
}

export type Statement = (execution: Execution) => Result

export type Tables = ReadonlyMap<string, Table>

interface Source {
  relation: Relation
  table?: Table
  rows(scope: Scope, execution: Execution): { row?: StoredRow; values: Value[] }[]
}

type Output = { columns: { name: string; type: Type }[]; run(scope: Scope, execution: Execution): Value[][] }
type Ctes = Map<string, Output>

/** @returns how to run this statement, which is one of SELECT, INSERT, UPDATE, DELETE */
export function prepare(node: Node, tables: Tables): Statement {
  const [kind] = Object.keys(node)
  const compiler = new StatementCompiler(tables)
  const output = compiler.statement(node)
  const verb = (kind as string).replace('Stmt', '').toUpperCase()
  return (execution) => {
    const scope: Scope = { params: execution.params, rows: [], session: execution.session, ctes: new Map() }
    current = execution
    const rows = output.run(scope, execution)
    const count = compiler.written ?? rows.length
    return { columns: output.columns, rows, tag: verb === 'INSERT' ? `INSERT 0 ${count}` : `${verb} ${count}` }
  }
}

/** Subqueries in expressions need the statement's execution, and one statement runs at a time. */
let current: Execution

class StatementCompiler {
  /** How many rows the last run wrote. */
  written: number | undefined

  constructor(private readonly tables: Tables) {}

  statement(node: Node, ctes: Ctes = new Map(), outer?: Names): Output {
    const [kind] = Object.keys(node)
    const body = node[kind as string]
    const known = new Map(ctes)
    for (const { CommonTableExpr } of body.withClause?.ctes ?? [])
      known.set(CommonTableExpr.ctename, this.statement(CommonTableExpr.ctequery, known, outer))
    switch (kind) {
      case 'SelectStmt':
        return this.select(body, known, outer)
      case 'UpdateStmt':
        return this.update(body, known)
      case 'InsertStmt':
        return this.insert(body, known)
      case 'DeleteStmt':
        return this.delete(body, known)
    }
    throw new Error(`Postgres: ${kind} is not modelled`)
  }

  private select(body: Node, ctes: Ctes, outer: Names | undefined): Output {
    const sources = ((body.fromClause ?? []) as Node[]).map((one) => this.source(one, ctes, outer))
    const names = this.names(sources, ctes, outer)
    const unnested = body.targetList?.[0]?.ResTarget.val.FuncCall
    if (unnested?.funcname[0].String.sval === 'unnest') return unnest(unnested, names)
    const where = body.whereClause && compile(body.whereClause, names)
    const targets = this.targets(body.targetList ?? [], names)
    const isGrouped = targets.some(({ expression }) => expression.isAggregate)
    const order = ((body.sortClause ?? []) as Node[]).map(({ SortBy }) => ({
      expression: compile(SortBy.node, names),
      sign: SortBy.sortby_dir === 'SORTBY_DESC' ? -1 : 1,
    }))
    const limit = body.limitCount && coerce(compile(body.limitCount, names), 'int8')
    const locking = body.lockingClause?.[0]?.LockingClause
    const skips = locking?.waitPolicy === 'LockWaitSkip'
    return {
      columns: targets.map(({ name, expression }) => ({ name, type: expression.type })),
      run(scope, execution) {
        let found = joined(sources, scope, execution)
        const within = (rows: Value[][]): Scope => ({ ...scope, rows })
        if (where) found = found.filter((one) => where.run(within(one.map(({ values }) => values))) === true)
        if (isGrouped) {
          const group = found.map((one) => one.map(({ values }) => values))
          const grouped = { ...within([]), group }
          return [targets.map(({ expression }) => expression.run(grouped))]
        }
        if (order.length > 0) {
          const keyed = found.map((one) => ({
            one,
            keys: order.map(({ expression }) => expression.run(within(one.map(({ values }) => values)))),
          }))
          keyed.sort((a, b) => {
            for (const [i, { sign }] of order.entries()) {
              const way = sign * compareValues(a.keys[i] as Value, b.keys[i] as Value)
              if (way !== 0) return way
            }
            return 0
          })
          found = keyed.map(({ one }) => one)
        }
        const most = limit ? (limit.run(within([])) as number | null) : null
        const output: Value[][] = []
        for (const one of found) {
          if (most !== null && output.length >= most) break
          if (locking && !lockAll(one, sources, execution, skips)) continue
          const scoped = within(one.map(({ values }) => values))
          output.push(targets.map(({ expression }) => expression.run(scoped)))
        }
        return output
      },
    }
  }

  private update(body: Node, ctes: Ctes): Output {
    const target = this.source({ RangeVar: body.relation }, ctes, undefined)
    const table = target.table as Table
    const sources = [target, ...((body.fromClause ?? []) as Node[]).map((one) => this.source(one, ctes, undefined))]
    const names = this.names(sources, ctes, undefined)
    const where = body.whereClause && compile(body.whereClause, names)
    const sets = (body.targetList as Node[]).map(({ ResTarget: { name, val } }) => {
      const index = table.indexOf(name)
      return { index, value: coerce(compile(val, names), (table.columns[index] as Column).type) }
    })
    return this.writing(body, names, (scope, execution, give) => {
      const found = matching(sources, where, scope, execution)
      for (const one of found) table.lock(execution.transaction, (one[0] as { row: StoredRow }).row, false)
      for (const one of found) {
        const scoped = { ...scope, rows: one.map(({ values }) => values) }
        const values = [...(one[0] as { values: Value[] }).values]
        for (const { index, value } of sets) values[index] = value.run(scoped)
        table.write(execution.transaction, (one[0] as { row: StoredRow }).row, values)
        give({ ...scope, rows: [values, ...scoped.rows.slice(1)] })
      }
    })
  }

  private delete(body: Node, ctes: Ctes): Output {
    const target = this.source({ RangeVar: body.relation }, ctes, undefined)
    const table = target.table as Table
    const names = this.names([target], ctes, undefined)
    const where = body.whereClause && compile(body.whereClause, names)
    return this.writing(body, names, (scope, execution, give) => {
      const found = matching([target], where, scope, execution)
      for (const one of found) table.lock(execution.transaction, (one[0] as { row: StoredRow }).row, false)
      for (const one of found) {
        table.write(execution.transaction, (one[0] as { row: StoredRow }).row, undefined)
        give({ ...scope, rows: one.map(({ values }) => values) })
      }
    })
  }

  private insert(body: Node, ctes: Ctes): Output {
    const target = this.source({ RangeVar: body.relation }, ctes, undefined)
    const table = target.table as Table
    const names = this.names([target], ctes, undefined)
    const given: number[] = body.cols
      ? (body.cols as Node[]).map(({ ResTarget }) => table.indexOf(ResTarget.name))
      : table.columns.map((_, i) => i)
    const typeOf = (i: number): Type => (table.columns[given[i] as number] as Column).type
    const select = body.selectStmt.SelectStmt
    const lists = select.valuesLists as Node[] | undefined
    const compiled = lists?.map(({ List }) =>
      (List.items as Node[]).map((item, i) => (item.SetToDefault ? undefined : coerce(compile(item, names), typeOf(i)))),
    )
    const query = compiled ? undefined : this.select(select, ctes, undefined)
    return this.writing(body, names, (scope, execution, give) => {
      const rows = compiled
        ? compiled.map((list) => list.map((one) => one?.run(scope)))
        : (query as Output)
            .run(scope, execution)
            .map((row) => row.map((value, i) => castTo(value, (query as Output).columns[i]?.type, typeOf(i))))
      for (const row of rows) {
        const values: Value[] = table.columns.map((column) => column.default?.(table) ?? null)
        for (const [i, value] of row.entries()) if (value !== undefined) values[given[i] as number] = value
        const missing = table.columns.find(({ required }, i) => required && values[i] === null)
        if (missing) throw new SqlError('23502', `null value in column "${missing.name}" violates not-null constraint`)
        table.insert(execution.transaction, values)
        give({ ...scope, rows: [values] })
      }
    })
  }

  /** A statement that writes, with its RETURNING. */
  private writing(body: Node, names: Names, write: (scope: Scope, execution: Execution, give: (scope: Scope) => void) => void): Output {
    const targets = this.targets(body.returningClause?.exprs ?? [], names)
    return {
      columns: targets.map(({ name, expression }) => ({ name, type: expression.type })),
      run: (scope, execution) => {
        const output: Value[][] = []
        this.written = 0
        write(scope, execution, (row) => {
          this.written = (this.written as number) + 1
          output.push(targets.map(({ expression }) => expression.run(row)))
        })
        return targets.length > 0 ? output : []
      },
    }
  }

  private source(node: Node, ctes: Ctes, outer: Names | undefined): Source {
    if (node.RangeSubselect) {
      const { subquery, alias } = node.RangeSubselect
      return derived(alias?.aliasname ?? '', this.statement(subquery, ctes, outer))
    }
    if (!node.RangeVar) throw new Error(`Postgres: ${Object.keys(node)} in FROM is not modelled`)
    const { relname, alias } = node.RangeVar
    const cte = ctes.get(relname)
    if (cte) return derived(alias?.aliasname ?? relname, cte, relname)
    const table = this.tables.get(relname)
    if (!table) throw new SqlError('42P01', `relation "${relname}" does not exist`)
    const columns = [...table.columns, { name: 'xmax', type: 'text' as const }]
    return {
      relation: { alias: alias?.aliasname ?? relname, columns },
      table,
      rows: (_, { transaction }) =>
        [...table.visibleTo(transaction)].map(({ row, values }) => ({ row, values: [...values, String(row.lockedBy?.id ?? 0)] })),
    }
  }

  private names(sources: readonly Source[], ctes: Ctes, outer: Names | undefined): Names {
    return {
      relations: sources.map(({ relation }) => relation),
      outer,
      subquery: (select, names) => {
        const output = this.statement(select, ctes, names)
        return { columns: output.columns, run: (scope) => output.run(scope, current) }
      },
    }
  }

  private targets(list: Node[], names: Names): { name: string; expression: Expression }[] {
    return list.flatMap(({ ResTarget: { name, val } }) => {
      const fields = val.ColumnRef?.fields as Node[] | undefined
      if (!fields?.at(-1)?.A_Star) return [{ name: name ?? nameOf(val), expression: compile(val, names) }]
      const alias = fields.length > 1 ? fields[0].String.sval : undefined
      return names.relations
        .filter((relation) => alias === undefined || relation.alias === alias)
        .flatMap((relation) =>
          relation.columns
            .filter((column) => column.name !== 'xmax')
            .map((column) => ({ name: column.name, expression: compile(reference(relation.alias, column.name), names) })),
        )
    })
  }
}

function castTo(value: Value, from: Type | undefined, to: Type): Value {
  return coerce({ type: from ?? 'unknown', run: () => value }, to).run({} as Scope)
}

function reference(alias: string, name: string): Node {
  return { ColumnRef: { fields: [{ String: { sval: alias } }, { String: { sval: name } }] } }
}

function derived(alias: string, output: Output, cteName?: string): Source {
  return {
    relation: { alias, columns: output.columns },
    rows(scope, execution) {
      const known = cteName === undefined ? undefined : scope.ctes.get(cteName)
      const rows = known ?? output.run({ ...scope, rows: [] }, execution)
      if (cteName !== undefined) scope.ctes.set(cteName, rows)
      return rows.map((values) => ({ values }))
    },
  }
}

type Joined = { row?: StoredRow; values: Value[] }[]

/** All combinations. */
function joined(sources: readonly Source[], scope: Scope, execution: Execution): Joined[] {
  let found: Joined[] = [[]]
  for (const source of sources) {
    const rows = source.rows(scope, execution)
    found = found.flatMap((one) => rows.map((row) => [...one, row]))
  }
  return found
}

function matching(sources: readonly Source[], where: Expression | undefined, scope: Scope, execution: Execution): Joined[] {
  // What is in WITH comes first, since it may lock rows and so decide which version is seen.
  for (const source of sources.slice(1)) source.rows(scope, execution)
  const found = joined(sources, scope, execution)
  return where ? found.filter((one) => where.run({ ...scope, rows: one.map(({ values }) => values) }) === true) : found
}

function lockAll(one: Joined, sources: readonly Source[], { transaction }: Execution, skips: boolean): boolean {
  return one.every(({ row }, i) => !row || sources[i]?.table?.lock(transaction, row, skips) !== false)
}

function unnest(node: Node, names: Names): Output {
  const bounds = node.args[0].TypeCast
  const type = typeNamed(bounds.typeName.names.at(-1).String.sval)
  const list = compile(node.args[0], names)
  return {
    columns: [{ name: 'unnest', type }],
    run: (scope) => ((list.run(scope) as Value[] | null) ?? []).map((value) => [castTo(value, 'unknown', type)]),
  }
}

/** The name that Postgres gives a column without one. */
function nameOf(node: Node): string {
  const [kind] = Object.keys(node)
  const body = node[kind as string]
  if (kind === 'ColumnRef') return body.fields.at(-1).String?.sval ?? '?column?'
  if (kind === 'FuncCall') return body.funcname.at(-1).String.sval
  if (kind === 'TypeCast') {
    const inner = nameOf(body.arg)
    return inner === '?column?' ? body.typeName.names.at(-1).String.sval : inner
  }
  return kind === 'CaseExpr' ? 'case' : kind === 'CoalesceExpr' ? 'coalesce' : '?column?'
}
