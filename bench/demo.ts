// Whether the demo's page stays live while ten thousand orders come due at once: the longest frame of the page in Chromium, the slowest answer
// of the shop, and how long after their deadline all of them were settled.
//   node scripts/run.mjs bench/demo.ts [rounds]
import { chromium, type Page } from 'playwright-core'
import { type Figures, openDemo } from '../test/pages/demo.js'
import { SWITCHES } from '../test/pages/switches.js'
import { waitUntil } from '../test/support/waiting.js'

const ORDERS = 10_000
const PATIENCE_MS = 60_000
const WARM_MS = 3_000

/** Runs in the page: notes each frame and each question of the page's own. */
const WATCH = `(() => {
  const seen = (globalThis.seen = { frames: [], tasks: [], answers: [] })
  let last = performance.now()
  requestAnimationFrame(function frame(now) {
    seen.frames.push(now - last)
    last = now
    requestAnimationFrame(frame)
  })
  const note = (list, of = '') => (entries) => list.push(...entries.getEntries().flatMap(({ name, duration }) => (name.endsWith(of) ? [duration] : [])))
  new PerformanceObserver(note(seen.tasks)).observe({ type: 'longtask' })
  new PerformanceObserver(note(seen.answers, '/figures')).observe({ type: 'resource' })
})()`

const { ensureBrowser } = (await import(new URL('../scripts/system.mjs', import.meta.url).href)) as {
  ensureBrowser(): Promise<string | undefined>
}
const executablePath = await ensureBrowser()
if (executablePath === undefined) throw new Error('the page needs a browser')
const rounds = Number(process.argv[2] ?? 3)
for (let round = 1; round <= rounds; round += 1) console.log(JSON.stringify({ round, ...(await measure()) }))

async function measure(): Promise<Record<string, number>> {
  const demo = await openDemo({ payAfter: '20s', separate: true })
  const browser = await chromium.launch({ executablePath: executablePath as string, args: SWITCHES })
  try {
    const page = await browser.newPage({ viewport: { width: 1200, height: 860 }, locale: 'en-GB' })
    await page.goto(`${demo.address}/break`)
    await page.getByRole('button', { name: 'Place an order' }).click()
    await page.locator('order-countdown[state=running]').waitFor()
    await page.waitForTimeout(WARM_MS)
    await page.evaluate(WATCH)
    await page.getByRole('button', { name: /10,000 orders/ }).click()
    const settled = async () => {
      const figures = await demo.figures()
      return figures.now.settled >= ORDERS && figures
    }
    const { now } = (await waitUntil(settled, { within: PATIENCE_MS, every: 500 })) as Figures
    return { settledMs: Math.round(now.latest), lost: now.lost, early: now.early, twice: now.twice, ...(await seenBy(page)) }
  } finally {
    await browser.close()
    await demo.close()
  }
}

async function seenBy(page: Page): Promise<Record<string, number>> {
  const seen = (await page.evaluate('seen')) as { frames: number[]; tasks: number[]; answers: number[] }
  const most = (list: number[]) => Math.round(Math.max(0, ...list))
  return {
    frames: seen.frames.length,
    longestFrameMs: most(seen.frames),
    longestTaskMs: most(seen.tasks),
    slowestAnswerMs: most(seen.answers),
  }
}
