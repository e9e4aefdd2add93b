// The two pictures of the README, as the example shop shows them: two deadlines that pass while nobody touches the page; and Redis flushed while an order
// waits, which is cancelled in time all the same, while its twin under the old recipe never is. With UPDATE_PICTURES=1 both are written to docs/.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { waitUntil } from '../support/waiting.js'
import { animatedWebp, type Frame } from './animated-webp.js'
import { type Demo, openDemo } from './demo.js'
import { SWITCHES } from './switches.js'

const docs = fileURLToPath(new URL('../../docs/', import.meta.url))
const ORDERS = { viewport: { width: 760, height: 600 }, locale: 'en-GB' }
/** Nothing scrolls meanwhile. */
const BREAKS = { viewport: { width: 1040, height: 1500 }, locale: 'en-GB', colorScheme: 'light' } as const
const SIZE = { width: 1040, height: 1210 }
const EVERY_MS = 500
const LAST_MS = 4_000

describe("the README's pictures", function () {
  this.timeout(90_000)
  let browser: Browser
  let drawing: Page
  let demo: Demo | undefined

  before(async function () {
    const executablePath = process.env.CHROMIUM
    if (executablePath === undefined) return this.skip()
    browser = await chromium.launch({ executablePath, args: SWITCHES })
    drawing = await browser.newPage()
  })

  afterEach(async () => {
    await demo?.close()
    demo = undefined
  })

  after(() => browser?.close())

  it('show what happens then', async () => {
    demo = await openDemo({ payAfter: '7s', confirmAfter: '9s' })
    const { address } = demo
    const page = await browser.newPage(ORDERS)
    await page.request.post(`${address}/staff/sign-in`, { form: { password: 'tea' } })
    /** Resolves to the order's address. */
    const place = async (tea: string) => {
      await page.request.post(`${address}/basket`, { form: { add: tea } })
      return (await page.request.post(`${address}/checkout`)).url()
    }
    const statuses = () => page.locator('.order .status').allInnerTexts()
    const paid = await place('alishan')
    await page.request.post(`${paid}/pay`)
    const shipped = await place('ruby')
    await page.request.post(`${shipped}/pay`)
    await page.request.post(`${shipped}/ship`)
    await place('dongding')
    await page.goto(`${address}/orders`)
    await waitUntil(async () => (await page.locator('order-countdown[state=running]').count()) === 2)
    assert.deepEqual(await statuses(), ['Waiting for payment', 'On its way', 'Paid, being packed'])
    const begunAt = performance.now()
    const before = await page.locator('main').screenshot()
    await waitUntil(async () => (await statuses()).join() === 'Cancelled,Completed,Paid, being packed', { within: 30_000 })
    const seconds = Math.ceil((performance.now() - begunAt) / 1_000)
    const after = await page.locator('main').screenshot()
    const picture = await together({ Now: before, [`${seconds} seconds later, without a request`]: after })
    await keep('what-happens-then.webp', picture)
  })

  it('show Redis flushed, and healed', async () => {
    demo = await openDemo({ payAfter: '9s', confirmAfter: '9s' })
    const page = await browser.newPage(BREAKS)
    await page.goto(`${demo.address}/break`)
    const press = (name: string) => page.getByRole('button', { name, exact: true }).click()
    await press('One subscriber')
    await press('Place an order')
    await page.locator('order-countdown[state=running]').waitFor()
    const top = (await page.locator('.strip').first().boundingBox())?.y ?? 0
    const pictures = await recorded(page, Math.round(top) - 16, async () => {
      await delay(3_000) // of the recording: it shows the order first
      await press('Do it: Flush Redis')
      await page.locator('.order .status.s0').waitFor()
      await page.locator('#old-figures [data-figure=overdue].bad').waitFor()
      await delay(1_500) // of the recording, as well
    })
    const { now, old } = await demo.figures()
    assert.deepEqual([now.settled, now.lost, old.done, old.overdue], [1, 0, 0, 1])
    await keep('pictures/redis-is-flushed.webp', animatedWebp(SIZE, await framesOf(pictures)))
  })

  async function keep(name: string, picture: Buffer): Promise<void> {
    assert.equal(picture.toString('latin1', 8, 12), 'WEBP')
    if (process.env.UPDATE_PICTURES !== undefined) await writeFile(docs + name, picture)
  }

  /** The page, twice a second, while its story goes on. */
  async function recorded(page: Page, y: number, story: () => Promise<void>): Promise<Buffer[]> {
    let isOver = false
    const told = story().finally(() => {
      isOver = true
    })
    const pictures: Buffer[] = []
    for (let next = performance.now(); !isOver; next += EVERY_MS) {
      pictures.push(await page.screenshot({ clip: { x: 0, y, ...SIZE } }))
      await delay(Math.max(0, next + EVERY_MS - performance.now()))
    }
    await told
    return pictures
  }

  /** Of each picture the part that differs from the one before. */
  async function framesOf(pictures: readonly Buffer[]): Promise<Frame[]> {
    await drawing.evaluate(`globalThis.nextPart = ${NEXT_PART}`)
    const frames: Frame[] = []
    for (const png of pictures) {
      const part = (await drawing.evaluate(`nextPart('${urlOf(png)}')`)) as (Omit<Frame, 'webp' | 'milliseconds'> & { url: string }) | null
      const last = frames.at(-1)
      if (part) frames.push({ ...part, webp: bytesOf(part.url), milliseconds: EVERY_MS })
      else if (last) last.milliseconds += EVERY_MS
    }
    const last = frames.at(-1) as Frame
    last.milliseconds += LAST_MS
    return frames
  }

  /** One picture of several, each under its title. */
  async function together(pictures: Record<string, Buffer>): Promise<Buffer> {
    await drawing.setViewportSize(ORDERS.viewport)
    const figures = Object.entries(pictures).map(
      ([title, png]) => `<figure><figcaption>${title}</figcaption><img src="${urlOf(png)}"></figure>`,
    )
    await drawing.setContent(`<style>
      body { margin: 0; background: #fbfaf6; color: #1d2620; font: 600 17px system-ui, sans-serif }
      main { display: grid; gap: 20px; padding: 20px 24px }
      figure { margin: 0 }
      figcaption { margin-bottom: 8px }
      img { display: block; width: 100% }
    </style><main>${figures.join('')}</main>`)
    const png = await drawing.locator('main').screenshot()
    return bytesOf((await drawing.evaluate(`(${TO_WEBP})('${urlOf(png)}')`)) as string)
  }
})

function urlOf(png: Buffer): string {
  return `data:image/png;base64,${png.toString('base64')}`
}

function bytesOf(url: string): Buffer {
  return Buffer.from(url.split(',')[1] ?? '', 'base64')
}

/** Runs in the page. A third of a PNG's size: the picture travels in the package. */
const TO_WEBP = `async (url) => {
  const image = new Image()
  image.src = url
  await image.decode()
  const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height })
  canvas.getContext('2d').drawImage(image, 0, 0)
  return canvas.toDataURL('image/webp', 0.3)
}`

/** Runs in the page, and knows the picture before. */
const NEXT_PART = `async (url) => {
  const image = new Image()
  image.src = url
  await image.decode()
  const { width, height } = image
  const canvas = Object.assign(document.createElement('canvas'), { width, height })
  const context = canvas.getContext('2d', { alpha: false, willReadFrequently: true })
  context.drawImage(image, 0, 0)
  const now = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer)
  const { before } = globalThis
  globalThis.before = now
  let [left, top, right, bottom] = before ? [width, height, 0, 0] : [0, 0, width, height]
  for (let at = 0; before && at < now.length; at += 1) {
    if (now[at] === before[at]) continue
    const [x, y] = [at % width, Math.floor(at / width)]
    left = Math.min(left, x)
    right = Math.max(right, x + 1)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y + 1)
  }
  if (right <= left) return null
  const part = { x: left - (left % 2), y: top - (top % 2) }
  const size = { width: right - part.x, height: bottom - part.y }
  const cut = Object.assign(document.createElement('canvas'), size)
  cut.getContext('2d', { alpha: false }).drawImage(image, -part.x, -part.y)
  return { ...part, ...size, url: cut.toDataURL('image/webp', 0.7) }
}`
