// Rows of text as columns: numbers to the right, the rest to the left.

export type Cell = string | number | undefined

/** @returns lines; what is undefined is shown as a dash, numbers with their thousands apart */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const texts = [header, ...rows.map((row) => row.map(text))]
  const widths = header.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)))
  const isNumber = header.map(
    (_, column) => rows.some((row) => typeof row[column] === 'number') || rows.every((row) => row[column] === undefined),
  )
  return texts.map((row) =>
    row
      .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

/** A whole number with its thousands apart. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US')
}

function text(cell: Cell): string {
  if (cell === undefined) return '-'
  return typeof cell === 'number' ? grouped(cell) : cell
}
