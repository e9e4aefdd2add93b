// The shape of a value as text: its keys, sorted, each with the type of its value.

export function shapeOf(value: unknown, indent = ''): string {
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value
  if (Array.isArray(value)) {
    const shapes = new Set(value.map((one) => shapeOf(one, indent)))
    return `[${[...shapes].sort().join(' | ')}]`
  }
  if (value.constructor !== Object) return value.constructor.name
  const lines = Object.entries(value).map(([key, member]) => `${indent}  ${key}: ${shapeOf(member, `${indent}  `)}\n`)
  return `{\n${lines.sort().join('')}${indent}}`
}
