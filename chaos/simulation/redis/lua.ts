// Runs the package's Lua scripts as they are: luaparse reads them, and each is translated into a JavaScript function, once. Only what scripts of
// Lua 5.1 within Redis use is there; anything else fails while it is translated.

import luaparse from 'luaparse'

/** What a Lua value is here: undefined for nil. */
export type LuaValue = undefined | boolean | number | string | LuaTable | LuaFunction
export type LuaFunction = (...values: LuaValue[]) => LuaValue[]
/** What Redis answers: null for nil. */
export type Reply = null | number | string | { ok: string } | { err: string } | Reply[]
export type RedisCall = (command: string[]) => Reply

export class LuaTable {
  readonly list: LuaValue[] = []
  readonly hash = new Map<LuaValue, LuaValue>()

  static of(values: readonly LuaValue[]): LuaTable {
    const table = new LuaTable()
    for (const value of values) table.list.push(value)
    return table
  }

  get(key: LuaValue): LuaValue {
    if (typeof key === 'number' && key >= 1 && key <= this.list.length && Number.isInteger(key)) return this.list[key - 1]
    return this.hash.get(key)
  }

  set(key: LuaValue, value: LuaValue): void {
    const { list } = this
    if (typeof key === 'number' && Number.isInteger(key) && key >= 1 && key <= list.length + 1) {
      if (key <= list.length) list[key - 1] = value
      else if (value !== undefined) list.push(value)
      while (list.length > 0 && list.at(-1) === undefined) list.pop()
    } else if (value === undefined) this.hash.delete(key)
    else this.hash.set(key, value)
  }
}

export class LuaError extends Error {}

type Node = Record<string, unknown> & { type: string }
type Script = (call: RedisCall, keys: string[], values: string[]) => Reply

/** @returns a function that runs the script */
export function translate(lua: string): Script {
  const parsed = luaparse.parse(lua, { luaVersion: '5.1', encodingMode: 'pseudo-latin1' }) as unknown as { body: Node[] }
  const source = `'use strict'; return function (G) { let t$; ${block(parsed.body)} }`
  const run = new Function('R', source)(RUNTIME) as (globals: LuaTable) => LuaValue[] | undefined
  return (call, keys, values) => {
    const globals = new LuaTable()
    for (const [name, value] of LIBRARY) globals.hash.set(name, value)
    globals.hash.set('KEYS', LuaTable.of(keys))
    globals.hash.set('ARGV', LuaTable.of(values))
    globals.hash.set('redis', redisLibrary(call))
    return toReply((run(globals) ?? [])[0])
  }
}

function redisLibrary(call: RedisCall): LuaTable {
  const table = new LuaTable()
  const words = (values: LuaValue[]) =>
    values.map((value) => {
      if (typeof value !== 'string' && typeof value !== 'number')
        throw new LuaError('Lua redis lib command arguments must be strings or integers')
      return text(value, 17)
    })
  table.hash.set('call', (...values: LuaValue[]) => {
    const reply = call(words(values))
    if (isError(reply)) throw new LuaError(reply.err)
    return [fromReply(reply)]
  })
  table.hash.set('pcall', (...values: LuaValue[]) => [fromReply(call(words(values)))])
  return table
}

export function isError(reply: Reply): reply is { err: string } {
  return typeof reply === 'object' && reply !== null && 'err' in reply
}

function fromReply(reply: Reply): LuaValue {
  if (reply === null) return false
  if (typeof reply !== 'object') return reply
  if (Array.isArray(reply)) return LuaTable.of(reply.map(fromReply))
  const table = new LuaTable()
  for (const [name, value] of Object.entries(reply)) table.hash.set(name, value)
  return table
}

function toReply(value: LuaValue): Reply {
  if (value === undefined || value === false) return null
  if (value === true) return 1
  if (typeof value === 'number') return Math.trunc(value) + 0 // never -0
  if (typeof value === 'string') return value
  if (typeof value === 'function') return null
  const [ok, err] = [value.hash.get('ok'), value.hash.get('err')]
  if (typeof err === 'string') return { err }
  if (typeof ok === 'string') return { ok }
  const end = value.list.indexOf(undefined)
  return (end < 0 ? value.list : value.list.slice(0, end)).map(toReply)
}

/** A number as text: with 14 digits as Lua's `..`, with 17 as Redis gives scores, and numbers to commands. As C's `%.14g` and `%.17g`. */
export function text(value: string | number, digits: 14 | 17): string {
  if (typeof value === 'string') return value
  if (Number.isInteger(value) && Math.abs(value) < 10 ** digits) return String(value)
  if (value === Number.POSITIVE_INFINITY) return 'inf'
  if (value === Number.NEGATIVE_INFINITY) return '-inf'
  const exact = value
    .toPrecision(100)
    .replace(/e.*|\D/g, '')
    .replace(/^0+/, '')
  const shown = halfToEven(value.toPrecision(digits), exact.slice(digits))
  return shown.includes('.') && !shown.includes('e') ? shown.replace(/\.?0+$/, '') : shown
}

/** As C's `%.0f` and `%.3f`. */
function fixed(value: number, digits: number): string {
  return halfToEven(value.toFixed(digits), value.toFixed(digits + 60).slice(-60))
}

/** C rounds an exact half to the even neighbour, and JavaScript away from zero. @param rest the exact digits after those of `rounded` */
function halfToEven(rounded: string, rest: string): string {
  if (!/^50*$/.test(rest)) return rounded
  return rounded.replace(/[13579](?=e|$)/, (digit) => String(Number(digit) - 1))
}

function number(value: LuaValue): number {
  if (typeof value === 'number') return value
  const found = toNumber(value)
  if (found === undefined) throw new LuaError(`attempt to perform arithmetic on a ${typeof value} value`)
  return found
}

function toNumber(value: LuaValue): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value !== 'string' || value.trim() === '') return undefined
  const found = Number(value)
  return Number.isNaN(found) ? undefined : found
}

function compare(a: LuaValue, b: LuaValue): number {
  if (typeof a !== typeof b || (typeof a !== 'number' && typeof a !== 'string'))
    throw new LuaError(`attempt to compare ${luaType(a)} with ${luaType(b)}`)
  return a < (b as typeof a) ? -1 : a > (b as typeof a) ? 1 : 0
}

function luaType(value: LuaValue): string {
  if (value === undefined) return 'nil'
  return value instanceof LuaTable ? 'table' : typeof value
}

/** What translated scripts call. */
const RUNTIME = {
  LuaTable,
  is: (value: LuaValue) => value !== undefined && value !== false,
  index(object: LuaValue, key: LuaValue): LuaValue {
    if (object instanceof LuaTable) return object.get(key)
    throw new LuaError(`attempt to index a ${luaType(object)} value`)
  },
  setIndex(object: LuaValue, key: LuaValue, value: LuaValue): void {
    if (!(object instanceof LuaTable)) throw new LuaError(`attempt to index a ${luaType(object)} value`)
    object.set(key, value)
  },
  call(callee: LuaValue, values: LuaValue[]): LuaValue[] {
    if (typeof callee !== 'function') throw new LuaError(`attempt to call a ${luaType(callee)} value`)
    return callee(...values) ?? []
  },
  length: (value: LuaValue) => (value instanceof LuaTable ? value.list.length : (value as string).length),
  number,
  compare,
  concat: (a: LuaValue, b: LuaValue) => {
    for (const value of [a, b]) {
      if (typeof value !== 'string' && typeof value !== 'number') throw new LuaError(`attempt to concatenate a ${luaType(value)} value`)
    }
    return text(a as string, 14) + text(b as string, 14)
  },
  modulo: (a: LuaValue, b: LuaValue) => number(a) - Math.floor(number(a) / number(b)) * number(b),
  /** What a generic `for` goes over: `ipairs(x)` and `pairs(x)` give their pairs at once. */
  pairs: (values: LuaValue[]) => values as unknown as [LuaValue, LuaValue][],
  table(entries: [LuaValue, LuaValue][], list: LuaValue[]): LuaTable {
    const table = LuaTable.of(list)
    for (const [key, value] of entries) table.set(key, value)
    return table
  },
}

function library(functions: Record<string, (...values: never[]) => LuaValue>): LuaTable {
  const table = new LuaTable()
  for (const [name, act] of Object.entries(functions))
    table.hash.set(name, (...values) => [(act as unknown as (...values: LuaValue[]) => LuaValue)(...values)])
  return table
}

const LIBRARY: [string, LuaValue][] = [
  ['tonumber', (value) => [toNumber(value)]],
  ['tostring', (value) => [value === undefined ? 'nil' : typeof value === 'boolean' ? String(value) : text(value as string, 14)]],
  [
    'pcall',
    (callee, ...values) => {
      try {
        return [true, ...RUNTIME.call(callee, values)]
      } catch (error) {
        if (error instanceof LuaError) return [false, error.message]
        throw error
      }
    },
  ],
  ['type', (value) => [luaType(value)]],
  [
    'unpack',
    (table, first = 1, last = (table as LuaTable).list.length) => (table as LuaTable).list.slice((first as number) - 1, last as number),
  ],
  ['ipairs', (table) => (table as LuaTable).list.map((value, i) => [i + 1, value]) as unknown as LuaValue[]],
  [
    'pairs',
    (table) => [...(table as LuaTable).list.map((value, i) => [i + 1, value]), ...(table as LuaTable).hash] as unknown as LuaValue[],
  ],
  [
    'math',
    library({
      floor: (value: LuaValue) => Math.floor(number(value)),
      ceil: (value: LuaValue) => Math.ceil(number(value)),
      min: (...values: LuaValue[]) => Math.min(...values.map(number)),
      max: (...values: LuaValue[]) => Math.max(...values.map(number)),
    }),
  ],
  [
    'string',
    library({
      format(form: string, value: LuaValue) {
        const [, digits] = /^%\.(\d)f$/.exec(form) ?? []
        if (digits === undefined) throw new LuaError(`string.format knows no ${form} here`)
        return fixed(number(value), Number(digits))
      },
      sub: (value: string, first: number, last = -1) => value.slice(first - 1, last === -1 ? undefined : last),
      match: (value: string, pattern: string) => new RegExp(pattern.replaceAll('%', '\\')).exec(value)?.[0],
      find(value: string, part: string, first: number, plain: boolean) {
        if (!plain) throw new LuaError('string.find knows no patterns here')
        const at = value.indexOf(part, first - 1)
        return at < 0 ? undefined : at + 1
      },
    }),
  ],
  [
    'cjson',
    library({
      decode: (json: string) => fromJson(JSON.parse(json)),
      encode: (value: LuaValue) => JSON.stringify(toJson(value)),
    }),
  ],
]

function fromJson(value: unknown): LuaValue {
  if (Array.isArray(value)) return LuaTable.of(value.map(fromJson))
  if (value === null || typeof value === 'object') throw new LuaError('only lists are decoded here')
  return value as LuaValue
}

/** An empty table is an object for cjson. */
function toJson(value: LuaValue): unknown {
  if (!(value instanceof LuaTable)) return value
  return value.list.length === 0 ? {} : value.list.map(toJson)
}

// From here on: Lua's syntax tree to JavaScript.

function block(body: Node[]): string {
  return body.map(statement).join('\n')
}

/** A name that JavaScript does not reserve. */
function nameOf({ name }: Node): string {
  return `$${name}`
}

function statement(node: Node): string {
  switch (node.type) {
    case 'LocalStatement':
      return `let ${assigned(node.variables as Node[], node.init as Node[], nameOf)}`
    case 'AssignmentStatement':
      return assignment(node)
    case 'CallStatement':
      return `${expression(node.expression as Node)};`
    case 'ReturnStatement':
      return `return ${list(node.arguments as Node[])};`
    case 'BreakStatement':
      return 'break;'
    case 'IfStatement':
      return (node.clauses as Node[]).map(clause).join(' else ')
    case 'FunctionDeclaration':
      if (!node.isLocal) break
      return `let ${nameOf(node.identifier as Node)} = ${functionOf(node)};`
    case 'ForNumericStatement': {
      const name = nameOf(node.variable as Node)
      const [start, end, step] = [node.start, node.end, node.step].map((part) => (part ? `R.number(${expression(part as Node)})` : '1'))
      return `for (let i$ = ${start}, end$ = ${end}, step$ = ${step}; step$ > 0 ? i$ <= end$ : i$ >= end$; i$ += step$) { let ${name} = i$; ${block(node.body as Node[])} }`
    }
    case 'ForGenericStatement': {
      const names = (node.variables as Node[]).map(nameOf)
      return `for (let [${names.join(', ')}] of R.pairs(${list(node.iterators as Node[])})) { ${block(node.body as Node[])} }`
    }
  }
  throw new Error(`Lua: ${node.type} is not translated`)
}

function clause(node: Node): string {
  const body = `{ ${block(node.body as Node[])} }`
  return node.type === 'ElseClause' ? body : `if (R.is(${expression(node.condition as Node)})) ${body}`
}

function assigned(variables: Node[], init: Node[], target: (node: Node) => string): string {
  const [only, value] = [variables[0] as Node, init[0]]
  if (variables.length === 1 && init.length <= 1) return `${target(only)} = ${value ? expression(value) : 'undefined'};`
  return `[${variables.map(target).join(', ')}] = ${list(init)};`
}

function assignment(node: Node): string {
  const [variable, value] = [(node.variables as Node[])[0] as Node, (node.init as Node[])[0] as Node]
  const [variables, init] = [node.variables as Node[], node.init as Node[]]
  if (variable.type === 'Identifier') return `[${variables.map(nameOf).join(', ')}] = ${list(init)};`
  if (variables.length > 1) throw new Error('Lua: only one element of a table is assigned at a time')
  const key = variable.type === 'IndexExpression' ? expression(variable.index as Node) : `'${(variable.identifier as Node).name}'`
  return `R.setIndex(${expression(variable.base as Node)}, ${key}, ${expression(value)});`
}

function functionOf(node: Node): string {
  const parameters = (node.parameters as Node[]).map((one) => (one.type === 'VarargLiteral' ? '...varargs$' : nameOf(one)))
  return `(${parameters.join(', ')}) => { let t$; ${block(node.body as Node[])} return []; }`
}

function isMultiple(node: Node | undefined): boolean {
  return (
    node !== undefined &&
    !node.inParens &&
    ['CallExpression', 'StringCallExpression', 'TableCallExpression', 'VarargLiteral'].includes(node.type)
  )
}

/** Several values, the last of which may be several itself. */
function list(nodes: Node[]): string {
  const last = nodes.at(-1)
  const single = (isMultiple(last) ? nodes.slice(0, -1) : nodes).map(expression)
  if (isMultiple(last)) single.push(`...${multiple(last as Node)}`)
  return `[${single.join(', ')}]`
}

function multiple(node: Node): string {
  if (node.type === 'VarargLiteral') return 'varargs$'
  return `R.call(${expression(node.base as Node)}, ${list((node.arguments as Node[]) ?? [node.argument])})`
}

const LOCALS = new Set(['redis', 'cjson', 'KEYS', 'ARGV', ...LIBRARY.map(([name]) => name)])

function expression(node: Node): string {
  switch (node.type) {
    case 'Identifier':
      return LOCALS.has(node.name as string) ? `R.index(G, '${node.name}')` : nameOf(node)
    case 'StringLiteral':
      return JSON.stringify(node.value)
    case 'NumericLiteral':
    case 'BooleanLiteral':
      return String(node.value)
    case 'NilLiteral':
      return 'undefined'
    case 'VarargLiteral':
      return 'varargs$[0]'
    case 'FunctionDeclaration':
      return functionOf(node)
    case 'CallExpression':
    case 'StringCallExpression':
    case 'TableCallExpression':
      return `${multiple(node)}[0]`
    case 'MemberExpression':
      return `R.index(${expression(node.base as Node)}, '${(node.identifier as Node).name}')`
    case 'IndexExpression':
      return `R.index(${expression(node.base as Node)}, ${expression(node.index as Node)})`
    case 'TableConstructorExpression':
      return table(node.fields as Node[])
    case 'LogicalExpression': {
      const [left, right] = [expression(node.left as Node), expression(node.right as Node)]
      return node.operator === 'and' ? `(R.is(t$ = ${left}) ? ${right} : t$)` : `(R.is(t$ = ${left}) ? t$ : ${right})`
    }
    case 'UnaryExpression':
      return unary(node.operator as string, expression(node.argument as Node))
    case 'BinaryExpression':
      return binary(node.operator as string, expression(node.left as Node), expression(node.right as Node))
  }
  throw new Error(`Lua: ${node.type} is not translated`)
}

function table(fields: Node[]): string {
  const values = fields.filter(({ type }) => type === 'TableValue').map(({ value }) => value as Node)
  const entries = fields
    .filter(({ type }) => type !== 'TableValue')
    .map(({ type, key, value }) => {
      const name = type === 'TableKeyString' ? `'${(key as Node).name}'` : expression(key as Node)
      return `[${name}, ${expression(value as Node)}]`
    })
  return `R.table([${entries.join(', ')}], ${list(values)})`
}

function unary(operator: string, value: string): string {
  if (operator === 'not') return `!R.is(${value})`
  if (operator === '#') return `R.length(${value})`
  return `-R.number(${value})`
}

function binary(operator: string, left: string, right: string): string {
  switch (operator) {
    case '==':
      return `(${left} === ${right})`
    case '~=':
      return `(${left} !== ${right})`
    case '..':
      return `R.concat(${left}, ${right})`
    case '%':
      return `R.modulo(${left}, ${right})`
    case '<':
    case '>':
    case '<=':
    case '>=':
      return `(R.compare(${left}, ${right}) ${operator} 0)`
    default:
      return `(R.number(${left}) ${operator} R.number(${right}))`
  }
}
