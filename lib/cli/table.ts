// A table as lines of text: numbers are aligned to the right, text to the left.

import { oneLine } from './one-line.js'

export type Cell = string | number | undefined

/** Undefined is shown as a dash. */
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

/** A whole number with thousands separators. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US')
}

function text(cell: Cell): string {
  if (cell === undefined) return '-'
  return typeof cell === 'number' ? grouped(cell) : oneLine(cell)
}
