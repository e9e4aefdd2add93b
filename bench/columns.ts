// What of a row is shown, and how: a scenario's table has the columns that its rows have figures for.
import type { Figures, Row } from './row.js'

export interface Column {
  title: string
  number: boolean
  cell(row: Row): string
}

const COLUMNS: Column[] = [
  { title: 'system', number: false, cell: nameOf },
  { title: 'workers', number: true, cell: (row) => whole(row.workers) },
  { title: 'n', number: true, cell: (row) => whole(row.n || undefined) },
  { title: 'pending', number: true, cell: (row) => whole(row.pending) },
  { title: 'per second', number: true, cell: (row) => whole(row.perSecond) },
  { title: 'bytes / timer', number: true, cell: (row) => whole(row.bytesPerTimer) },
  { title: 'late p50', number: true, cell: (row) => milliseconds(row.latenessMs?.p50) },
  { title: 'late p99', number: true, cell: (row) => milliseconds(row.latenessMs?.p99) },
  { title: 'latest', number: true, cell: (row) => milliseconds(row.latenessMs?.max) },
  { title: 'delivered', number: true, cell: (row) => whole(row.delivered) },
  { title: 'CPU', number: true, cell: (row) => percent(row.cpuPercent) },
]

/** The columns for these rows: the common ones that have something to show, then one for each detail. */
export function columnsOf(rows: Row[]): Column[] {
  const details = new Set(rows.flatMap((row) => Object.keys(row.detail ?? {})))
  const detailColumns = [...details].map((name) => ({
    title: inWords(name),
    number: true,
    cell: (row: Row) => short(row.detail?.[name]),
  }))
  const failed = { title: 'failed', number: false, cell: (row: Row) => row.failed?.split('\n')[0]?.slice(0, 80) ?? '' }
  return [...COLUMNS, ...detailColumns, failed].filter(({ cell }) => rows.some((row) => cell(row) !== '' && cell(row) !== '0'))
}

export function nameOf({ system, variant }: Row): string {
  return variant === undefined ? system : `${system}, ${variant}`
}

/** One run's figures in a line. */
export function figuresInWords({ perSecond, bytesPerTimer, latenessMs, delivered, cpuPercent, detail = {} }: Figures): string {
  const words = [
    perSecond !== undefined && `${whole(perSecond)} / s`,
    bytesPerTimer !== undefined && `${whole(bytesPerTimer)} bytes / timer`,
    latenessMs && `p50 ${milliseconds(latenessMs.p50)}, p99 ${milliseconds(latenessMs.p99)}, latest ${milliseconds(latenessMs.max)}`,
    delivered !== undefined && `${whole(delivered)} delivered`,
    cpuPercent !== undefined && `${percent(cpuPercent)} CPU`,
    ...Object.entries(detail).map(([name, value]) => `${inWords(name)} ${short(value)}`),
  ]
  return words.filter(Boolean).join(', ')
}

/** smallestShare → smallest share; emptySweepMs → empty sweep (ms) */
function inWords(name: string): string {
  const words = name.replace(/[A-Z]+/g, (letters) => ` ${letters.toLowerCase()}`)
  return words
    .replace(/ ms$/, ' (ms)')
    .replace(/ percent$/, ' (%)')
    .replace('cpu us', 'CPU µs')
    .replace('cpu', 'CPU')
}

function whole(value: number | undefined): string {
  return value === undefined ? '' : Math.round(value).toLocaleString('en-US')
}

function milliseconds(value: number | undefined): string {
  if (value === undefined) return ''
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${value < 10 ? value.toFixed(1) : whole(value)} ms`
}

function percent(value: number | undefined): string {
  return value === undefined ? '' : `${value.toFixed(2)} %`
}

function short(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return ''
  return Number.isInteger(value) ? whole(value) : value.toFixed(Math.abs(value) < 10 ? 2 : 0)
}
