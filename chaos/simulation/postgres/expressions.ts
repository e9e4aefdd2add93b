// Expressions of SQL, from Postgres's own syntax tree (libpg-query) to functions. Only what the package's statements use; anything else fails.

import { asNumber, cast, type Fraction, isFraction, roundHalfEven, SqlError, type Type, typeNamed, type Value } from './values.js'

// biome-ignore lint/suspicious/noExplicitAny: the syntax tree's types are a union of hundreds, of which few are used
export type Node = any

/** What an expression may look at while a statement runs. */
export interface Scope {
  params: (string | null)[]
  /** One row for each relation in FROM. */
  rows: Value[][]
  /** The rows that an aggregate goes over. */
  group?: Value[][][]
  outer?: Scope
  session: SessionOfStatement
  /** What each WITH came to. */
  ctes: Map<string, Value[][]>
}

export interface SessionOfStatement {
  /** Microseconds since 1970. */
  now(): number
  clock(): number
  tryAdvisoryLock(name: string): boolean
  /** A setting of the running transaction. */
  setLocal(name: string, value: string): void
}

/** A relation in FROM, as names see it. */
export interface Relation {
  alias: string
  columns: { name: string; type: Type }[]
}

export interface Names {
  relations: Relation[]
  outer?: Names | undefined
  /** Compiles a subquery. */
  subquery(select: Node, names: Names): { columns: { name: string; type: Type }[]; run(scope: Scope): Value[][] }
}

export interface Expression {
  type: Type
  run(scope: Scope): Value
  isAggregate?: boolean
}

const constant = (type: Type, value: Value): Expression => ({ type, run: () => value })

export function compile(node: Node, names: Names): Expression {
  const [kind] = Object.keys(node)
  const compiler = COMPILERS[kind as string]
  if (!compiler) throw new Error(`Postgres: ${kind} is not modelled: ${JSON.stringify(node).slice(0, 300)}`)
  return compiler(node[kind as string], names)
}

/** Makes the expression one of this type. */
export function coerce(expression: Expression, to: Type): Expression {
  if (expression.type === to) return expression
  return { ...expression, type: to, run: (scope) => cast(expression.run(scope), expression.type, to) }
}

function column(fields: Node[], names: Names): Expression {
  const parts = fields.map((field) => field.String?.sval as string)
  const name = parts.at(-1) as string
  const alias = parts.length > 1 ? parts.at(-2) : undefined
  let depth = 0
  for (let level: Names | undefined = names; level; level = level.outer) {
    for (const [i, relation] of level.relations.entries()) {
      if (alias !== undefined && relation.alias !== alias) continue
      const j = relation.columns.findIndex((one) => one.name === name)
      if (j < 0) continue
      const { type } = relation.columns[j] as { type: Type }
      if (depth === 0) return { type, run: ({ rows }) => rows[i]?.[j] ?? null }
      const up = depth
      return {
        type,
        run(scope) {
          let at: Scope | undefined = scope
          for (let k = 0; k < up; k += 1) at = at?.outer
          return at?.rows[i]?.[j] ?? null
        },
      }
    }
    depth += 1
  }
  throw new SqlError('42703', `column ${parts.join('.')} does not exist`)
}

const RANK: Type[] = ['unknown', 'int4', 'int8', 'numeric', 'float8']

/** Brings two sides to one type. */
function unify(a: Expression, b: Expression): [Expression, Expression] {
  if (a.type === b.type) return [a, b]
  if (a.type === 'unknown') return [coerce(a, b.type), b]
  if (b.type === 'unknown') return [a, coerce(b, a.type)]
  const [x, y] = [RANK.indexOf(a.type), RANK.indexOf(b.type)]
  if (x < 0 || y < 0) throw new SqlError('42883', `operator does not exist: ${a.type} ? ${b.type}`)
  const to = RANK[Math.max(x, y)] as Type
  return [coerce(a, to), coerce(b, to)]
}

export function compareValues(a: Value, b: Value): number {
  if (Array.isArray(a) && Array.isArray(b)) {
    for (const [i, one] of a.entries()) {
      const order = compareValues(one, b[i] as Value)
      if (order !== 0) return order
    }
    return 0
  }
  const [x, y] = [isFraction(a) ? asNumber(a) : a, isFraction(b) ? asNumber(b) : b] as [number, number]
  return x < y ? -1 : x > y ? 1 : 0
}

const COMPARISONS: Record<string, (order: number) => boolean> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '!=': (order) => order !== 0,
  '<': (order) => order < 0,
  '>': (order) => order > 0,
  '<=': (order) => order <= 0,
  '>=': (order) => order >= 0,
}

function comparison(operator: string, left: Expression, right: Expression): Expression {
  const holds = COMPARISONS[operator] as (order: number) => boolean
  const [a, b] = unify(left, right)
  return {
    type: 'bool',
    run(scope) {
      const [x, y] = [a.run(scope), b.run(scope)]
      return x === null || y === null ? null : holds(compareValues(x, y))
    },
    isAggregate: Boolean(a.isAggregate || b.isAggregate),
  }
}

function rowComparison(operator: string, left: Node, right: Node, names: Names): Expression {
  const pairs = (left.RowExpr.args as Node[]).map((one, i) => unify(compile(one, names), compile(right.RowExpr.args[i], names)))
  const holds = COMPARISONS[operator] as (order: number) => boolean
  return {
    type: 'bool',
    run(scope) {
      for (const [a, b] of pairs) {
        const [x, y] = [a.run(scope), b.run(scope)]
        if (x === null || y === null) return null
        const order = compareValues(x, y)
        if (order !== 0) return holds(order)
      }
      return holds(0)
    },
  }
}

function arithmetic(operator: string, left: Expression, right: Expression): Expression {
  const types = `${left.type} ${operator} ${right.type}`
  const both = (type: Type, act: (x: number, y: number) => Value): Expression => ({
    type,
    isAggregate: Boolean(left.isAggregate || right.isAggregate),
    run(scope) {
      const [x, y] = [left.run(scope), right.run(scope)]
      return x === null || y === null ? null : act(asNumber(x), asNumber(y))
    },
  })
  switch (types) {
    case 'timestamptz + interval':
      return both('timestamptz', (x, y) => x + y)
    case 'timestamptz - interval':
      return both('timestamptz', (x, y) => x - y)
    case 'timestamptz - timestamptz':
      return both('interval', (x, y) => x - y)
    case 'interval + interval':
      return both('interval', (x, y) => x + y)
    case 'interval - interval':
      return both('interval', (x, y) => x - y)
    case 'int4 * interval':
    case 'int8 * interval':
    case 'float8 * interval':
      return both('interval', (x, y) => roundHalfEven(x * y))
    case 'numeric * int4':
      return { type: 'numeric', run: (scope) => times(left.run(scope) as Fraction | null, right.run(scope) as number | null) }
  }
  const type = unify(left, right)[0].type
  if (!['int4', 'int8', 'float8'].includes(type)) throw new Error(`Postgres: ${types} is not modelled`)
  const acts: Record<string, (x: number, y: number) => number> = {
    '+': (x, y) => x + y,
    '-': (x, y) => x - y,
    '*': (x, y) => x * y,
    '/': (x, y) => (type === 'float8' ? x / y : Math.trunc(x / y)),
  }
  const act = acts[operator]
  if (!act) throw new Error(`Postgres: the operator ${operator} is not modelled`)
  return both(type, act)
}

function times(a: Fraction | null, b: number | null): Fraction | null {
  if (a === null || b === null) return null
  return a.bottom % b === 0 ? { top: a.top, bottom: a.bottom / b } : { top: a.top * b, bottom: a.bottom }
}

const not = (value: Value): Value => (value === null ? null : !value)

function boolean(operator: string, args: Expression[]): Expression {
  if (operator === 'NOT_EXPR') return { type: 'bool', run: (scope) => not((args[0] as Expression).run(scope)) }
  const decides = operator === 'OR_EXPR'
  return {
    type: 'bool',
    run(scope) {
      let result: Value = !decides
      for (const one of args) {
        const value = one.run(scope)
        if (value === decides) return decides
        if (value === null) result = null
      }
      return result
    },
  }
}

const BOOLEAN_TESTS: Record<string, (value: Value) => boolean> = {
  IS_TRUE: (value) => value === true,
  IS_NOT_TRUE: (value) => value !== true,
  IS_FALSE: (value) => value === false,
  IS_NOT_FALSE: (value) => value !== false,
  IS_UNKNOWN: (value) => value === null,
  IS_NOT_UNKNOWN: (value) => value !== null,
}

function operatorExpression(node: Node, names: Names): Expression {
  const operator = node.name.at(-1).String.sval as string
  switch (node.kind) {
    case 'AEXPR_OP':
      if (node.lexpr?.RowExpr) return rowComparison(operator, node.lexpr, node.rexpr, names)
      if (!node.lexpr) return arithmetic('-', constant('int4', 0), compile(node.rexpr, names))
      if (operator in COMPARISONS) return comparison(operator, compile(node.lexpr, names), compile(node.rexpr, names))
      return arithmetic(operator, compile(node.lexpr, names), compile(node.rexpr, names))
    case 'AEXPR_IN': {
      const left = compile(node.lexpr, names)
      const items = (node.rexpr.List.items as Node[]).map((item) => comparison('=', left, compile(item, names)))
      const isIn = boolean('OR_EXPR', items)
      return operator === '=' ? isIn : boolean('NOT_EXPR', [isIn])
    }
    case 'AEXPR_OP_ANY': {
      const left = compile(node.lexpr, names)
      const list = coerce(compile(node.rexpr, names), 'array')
      return {
        type: 'bool',
        run(scope) {
          const value = left.run(scope)
          const values = list.run(scope) as Value[] | null
          if (value === null || values === null) return null
          return values.some((one) => one !== null && compareValues(value, cast(one, 'unknown', left.type)) === 0)
        },
      }
    }
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT': {
      const [a, b] = unify(compile(node.lexpr, names), compile(node.rexpr, names))
      const isSame = (scope: Scope) => {
        const [x, y] = [a.run(scope), b.run(scope)]
        return x === null || y === null ? x === y : compareValues(x, y) === 0
      }
      return { type: 'bool', run: (scope) => isSame(scope) === (node.kind === 'AEXPR_NOT_DISTINCT') }
    }
  }
  throw new Error(`Postgres: ${node.kind} is not modelled`)
}

function caseExpression(node: Node, names: Names): Expression {
  const subject = node.arg && compile(node.arg, names)
  const branches = (node.args as Node[]).map(({ CaseWhen: { expr, result } }) => {
    const condition = compile(expr, names)
    return { when: subject ? comparison('=', subject, condition) : condition, value: compile(result, names) }
  })
  const otherwise = node.defresult ? compile(node.defresult, names) : constant('unknown', null)
  const type = [...branches.map(({ value }) => value.type), otherwise.type].find((one) => one !== 'unknown') ?? 'text'
  const results = branches.map(({ value }) => coerce(value, type))
  const last = coerce(otherwise, type)
  const all = [...branches.flatMap(({ when, value }) => [when, value]), otherwise, ...(subject ? [subject] : [])]
  return {
    type,
    isAggregate: all.some((one) => one.isAggregate),
    run(scope) {
      for (const [i, { when }] of branches.entries()) if (when.run(scope) === true) return (results[i] as Expression).run(scope)
      return last.run(scope)
    },
  }
}

function greatest(node: Node, names: Names): Expression {
  const args = (node.args as Node[]).map((one) => compile(one, names))
  const type = args.map((one) => one.type).reduce((a, b) => (RANK.indexOf(a) > RANK.indexOf(b) ? a : b))
  const all = args.map((one) => coerce(one, type))
  const sign = node.op === 'IS_LEAST' ? -1 : 1
  return {
    type,
    run(scope) {
      const values = all.map((one) => one.run(scope)).filter((value) => value !== null)
      return values.length === 0 ? null : values.reduce((a, b) => (sign * compareValues(a, b) >= 0 ? a : b))
    },
  }
}

type Strict = { type: Type; act: (value: never, scope: Scope) => Value; takes?: Type }

/** Functions of one argument, NULL for NULL. */
const FUNCTIONS: Record<string, (argument: Expression) => Strict> = {
  ceil: ({ type }) => ({ type: type === 'numeric' ? 'numeric' : 'float8', act: (value: Value) => whole(value, Math.ceil) }),
  floor: ({ type }) => ({ type: type === 'numeric' ? 'numeric' : 'float8', act: (value: Value) => whole(value, Math.floor) }),
  round: ({ type }) => ({ type: type === 'numeric' ? 'numeric' : 'float8', act: (value: Value) => whole(value, roundHalfEven) }),
  hashtextextended: () => ({ type: 'int8', act: (text: string) => text, takes: 'text' }),
  // No story holds a rule: there is no table of holds.
  to_regclass: () => ({ type: 'int8', act: () => null, takes: 'text' }),
  has_table_privilege: () => ({ type: 'bool', act: (table: Value) => (table === null ? null : true) }),
  pg_try_advisory_xact_lock: () => ({ type: 'bool', act: (name: string, { session }) => session.tryAdvisoryLock(name) }),
}

function whole(value: Value, act: (value: number) => number): Value {
  return isFraction(value) ? { top: act(value.top / value.bottom), bottom: 1 } : act(value as number)
}

const AGGREGATES: Record<string, (argument: Expression | undefined) => { type: Type; act: (values: Value[]) => Value }> = {
  count: () => ({ type: 'int8', act: (values) => values.filter((value) => value !== null).length }),
  max: (argument) => ({ type: argument?.type ?? 'text', act: (values) => best(values, 1) }),
  min: (argument) => ({ type: argument?.type ?? 'text', act: (values) => best(values, -1) }),
  json_agg: (argument) => ({
    type: 'json',
    act: (values) => {
      if (values.length === 0) return null
      const isText = argument?.type === 'text' || argument?.type === 'timestamptz'
      return `[${values.map((value) => (value === null ? 'null' : isText ? JSON.stringify(value) : String(asNumber(value)))).join(', ')}]`
    },
  }),
}

function best(values: Value[], sign: number): Value {
  const present = values.filter((value) => value !== null)
  return present.length === 0 ? null : present.reduce((a, b) => (sign * compareValues(a, b) >= 0 ? a : b))
}

function call(node: Node, names: Names): Expression {
  const name = node.funcname.at(-1).String.sval as string
  const nodes = (node.args ?? []) as Node[]
  const aggregate = AGGREGATES[name]
  if (aggregate) {
    const argument = nodes[0] && compile(nodes[0], names)
    const { type, act } = aggregate(argument)
    return {
      type,
      isAggregate: true,
      run: (scope) => act((scope.group ?? []).map((rows) => (argument ? argument.run({ ...scope, rows }) : true))),
    }
  }
  const args = nodes.map((one) => compile(one, names))
  const [first, second] = args as [Expression, Expression]
  switch (name) {
    case 'now':
      return { type: 'timestamptz', run: ({ session }) => session.now() }
    case 'clock_timestamp':
      return { type: 'timestamptz', run: ({ session }) => session.clock() }
    case 'has_table_privilege':
      return constant('bool', null) // there is no table of holds
    case 'pg_try_advisory_xact_lock_shared':
      return constant('bool', true) // and nobody waits for a rule's lock
    case 'current_schema':
      return constant('text', 'public')
    case 'concat': {
      const texts = args.map((one) => coerce(one, 'text'))
      return { type: 'text', run: (scope) => texts.map((one) => one.run(scope) ?? '').join('') }
    }
    case 'extract':
      return strict(second, 'numeric', (value: number) => ({ top: value, bottom: 1_000_000 }))
    case 'date_part':
      return strict(second, 'float8', (value: number) => value / 1_000_000)
    case 'date_trunc':
      return strict(second, 'timestamptz', (value: number) => Math.floor(value / 1000) * 1000)
    case 'set_config':
      return setConfig(args)
    case 'range_contains_elem':
      return constant('bool', null) // only NULL is used as the range
  }
  const one = FUNCTIONS[name]?.(first)
  if (!one) throw new Error(`Postgres: the function ${name} is not modelled`)
  return strict(one.takes ? coerce(first, one.takes) : first.type === 'int4' ? coerce(first, 'float8') : first, one.type, one.act)
}

/** For the running transaction. */
function setConfig(args: readonly Expression[]): Expression {
  const [name, value] = args.slice(0, 2).map((one) => coerce(one, 'text')) as [Expression, Expression]
  return {
    type: 'text',
    run(scope) {
      const set = value.run(scope) as string
      scope.session.setLocal(name.run(scope) as string, set)
      return set
    },
  }
}

function strict(argument: Expression, type: Type, act: (value: never, scope: Scope) => Value): Expression {
  return {
    type,
    isAggregate: Boolean(argument.isAggregate),
    run(scope) {
      const value = argument.run(scope)
      return value === null ? null : act(value as never, scope)
    },
  }
}

function literal({ ival, sval, boolval, fval, isnull }: Node): Expression {
  if (isnull) return constant('unknown', null)
  if (ival) return constant('int4', ival.ival ?? 0)
  if (boolval) return constant('bool', boolval.boolval ?? false)
  if (fval)
    return constant(
      /^\d+$/.test(fval.fval) ? 'int8' : 'numeric',
      /^\d+$/.test(fval.fval) ? Number(fval.fval) : { top: Number(fval.fval), bottom: 1 },
    )
  return constant('unknown', sval?.sval ?? '')
}

function subquery(node: Node, names: Names): Expression {
  const compiled = names.subquery(node.subselect, names)
  const inner = (scope: Scope): Scope => ({ ...scope, outer: scope })
  if (node.subLinkType === 'EXISTS_SUBLINK') return { type: 'bool', run: (scope) => compiled.run(inner(scope)).length > 0 }
  if (node.subLinkType !== 'EXPR_SUBLINK') throw new Error(`Postgres: ${node.subLinkType} is not modelled`)
  return { type: compiled.columns[0]?.type ?? 'unknown', run: (scope) => compiled.run(inner(scope))[0]?.[0] ?? null }
}

function typeCast({ arg, typeName }: Node, names: Names): Expression {
  const inner = compile(arg, names)
  if (typeName.arrayBounds) return coerce(inner, 'array')
  const to = typeNamed(typeName.names.at(-1).String.sval)
  return coerce(inner, to)
}

const COMPILERS: Record<string, (node: Node, names: Names) => Expression> = {
  A_Const: literal,
  A_Expr: operatorExpression,
  ParamRef: ({ number }) => ({ type: 'unknown', run: ({ params }) => params[number - 1] ?? null }),
  ColumnRef: ({ fields }, names) => column(fields, names),
  TypeCast: typeCast,
  FuncCall: call,
  CaseExpr: caseExpression,
  MinMaxExpr: greatest,
  SubLink: subquery,
  BoolExpr: ({ boolop, args }, names) =>
    boolean(
      boolop,
      (args as Node[]).map((one) => compile(one, names)),
    ),
  NullTest: ({ arg, nulltesttype }, names) => {
    const inner = compile(arg, names)
    return { type: 'bool', run: (scope) => (inner.run(scope) === null) === (nulltesttype === 'IS_NULL') }
  },
  BooleanTest: ({ arg, booltesttype }, names) => {
    const inner = coerce(compile(arg, names), 'bool')
    const test = BOOLEAN_TESTS[booltesttype] as (value: Value) => boolean
    return { type: 'bool', run: (scope) => test(inner.run(scope)) }
  },
  CoalesceExpr: ({ args }, names) => {
    const all = (args as Node[]).map((one) => compile(one, names))
    const type = all.find((one) => one.type !== 'unknown')?.type ?? 'text'
    const same = all.map((one) => coerce(one, type))
    return {
      type,
      isAggregate: all.some((one) => one.isAggregate),
      run(scope) {
        for (const one of same) {
          const value = one.run(scope)
          if (value !== null) return value
        }
        return null
      },
    }
  },
}
