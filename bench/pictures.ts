// The pictures of a record, as SVG: Vega-Lite draws them from the rows.
import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import { nameOf } from './columns.js'
import type { Row } from './row.js'
import { OURS } from './systems/index.js'

export interface Picture {
  file: string
  about: string
  svg: string
}

type Value = Record<string, string | number>

const OUR_COLOUR = '#0f766e'
const THEIR_COLOUR = '#94a3b8'
const LINE_COLOURS = [OUR_COLOUR, '#b45309', '#7c3aed', '#2563eb', '#db2777', '#64748b', '#0f172a']
const SHARES = ['half of them by', '99 of 100 by']
const FRAME: Pick<TopLevelSpec, 'background' | 'padding' | 'config'> = {
  background: 'white',
  padding: 12,
  config: { font: 'sans-serif', view: { stroke: null }, axis: { labelFontSize: 12, titleFontWeight: 'normal', labelLimit: 260 } },
}

export async function draw(rows: Row[]): Promise<Picture[]> {
  const of = (scenario: string) => rows.filter((row) => row.scenario === scenario && !row.failed)
  const drawn = [
    bars('schedule.svg', 'Timers scheduled per second', ofOneSize(of('schedule')), (row) => row.perSecond),
    bars('memory.svg', 'Bytes of Redis per timer', ofOneSize(of('schedule')), (row) => row.bytesPerTimer),
    bars('drain.svg', 'Orders settled per second, all due at one instant', ofOneSize(of('drain')), (row) => row.perSecond),
    bars('idle.svg', 'CPU of worker and Redis while timers wait, in % of a core', of('idle'), (row) => row.cpuPercent),
    bars('workers.svg', 'Orders settled per second by 1, 2 and 4 workers', of('workers'), (row) => row.perSecond),
    lateness(of('lateness')),
  ]
  return Promise.all(drawn.filter((picture) => picture !== undefined).map(render))
}

/** Of as many orders as the first row's. */
function ofOneSize(rows: Row[]): Row[] {
  return rows.filter(({ n }) => n === rows[0]?.n)
}

interface Drawing {
  file: string
  about: string
  spec: TopLevelSpec
}

function bars(file: string, about: string, rows: Row[], figure: (row: Row) => number | undefined): Drawing | undefined {
  const values: Value[] = rows
    .filter((row) => figure(row) !== undefined)
    .map((row) => ({
      name: labelOf(row, rows),
      value: Math.max(0, figure(row)!),
      ours: row.system === OURS ? 1 : 0,
    }))
  if (values.length === 0) return undefined
  const x = { field: 'value', type: 'quantitative' as const, title: null, axis: { grid: false, tickCount: 5 } }
  const spec: TopLevelSpec = {
    ...FRAME,
    title: { text: about, anchor: 'start' },
    width: 520,
    height: { step: 26 },
    data: { values },
    encoding: { y: { field: 'name', type: 'nominal', sort: null, title: null, axis: { ticks: false, domain: false } } },
    layer: [
      {
        mark: { type: 'bar', cornerRadiusEnd: 2, height: 18 },
        encoding: { x, color: { condition: { test: 'datum.ours', value: OUR_COLOUR }, value: THEIR_COLOUR } },
      },
      {
        mark: { type: 'text', align: 'left', dx: 5, fontSize: 12 },
        encoding: { x, text: { field: 'value', format: values.some(({ value }) => Number(value) < 100) ? ',.2f' : ',.0f' } },
      },
    ],
  }
  return { file, about, spec }
}

/** The row's name, and what else tells it from the others. */
function labelOf(row: Row, rows: Row[]): string {
  const workers = row.workers !== undefined && `${row.workers} worker${row.workers > 1 ? 's' : ''}`
  const pending = new Set(rows.map((other) => other.pending)).size > 1 && `${row.pending.toLocaleString('en-US')} pending`
  return [nameOf(row), workers, pending].filter(Boolean).join(', ')
}

function lateness(rows: Row[]): Drawing | undefined {
  const values: Value[] = rows.flatMap((row) =>
    row.latenessMs
      ? [
          { name: nameOf(row), pending: row.pending.toLocaleString('en-US'), share: SHARES[0]!, ms: row.latenessMs.p50 },
          { name: nameOf(row), pending: row.pending.toLocaleString('en-US'), share: SHARES[1]!, ms: row.latenessMs.p99 },
        ]
      : [],
  )
  if (values.length === 0) return undefined
  const about = 'From deadline to commit, by how many other timers are pending (of those delivered within a minute)'
  const names = [...new Set(values.map(({ name }) => String(name)))]
  const spec: TopLevelSpec = {
    ...FRAME,
    title: { text: about, anchor: 'start' },
    data: { values },
    facet: { column: { field: 'share', type: 'nominal', sort: SHARES, title: null, header: { labelFontSize: 13 } } },
    spec: {
      width: 300,
      height: 280,
      mark: { type: 'line', point: { size: 50 }, strokeWidth: 2 },
      encoding: {
        x: { field: 'pending', type: 'ordinal', sort: null, title: 'timers pending', axis: { labelAngle: 0 } },
        y: { field: 'ms', type: 'quantitative', scale: { type: 'log' }, title: 'milliseconds', axis: { tickCount: 6, format: '~s' } },
        color: {
          field: 'name',
          type: 'nominal',
          sort: null,
          title: null,
          scale: { domain: names, range: LINE_COLOURS },
          legend: { labelLimit: 260, labelFontSize: 12 },
        },
      },
    },
  }
  return { file: 'lateness.svg', about, spec }
}

/** Attributes that nothing reads in a picture of a page, and that are a third of it. */
const UNUSED = / (?:class|aria-[a-z]+|role|pointer-events)="[^"]*"/g

async function render({ file, about, spec }: Drawing): Promise<Picture> {
  const view = new View(parse(compile(spec).spec), { renderer: 'none' })
  const svg = await view.toSVG()
  view.finalize()
  return { file, about, svg: `${svg.replace(UNUSED, '')}\n` }
}
