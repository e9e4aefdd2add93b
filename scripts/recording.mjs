// Makes docs/pictures/redis-is-flushed.webp, the README's second picture, a recording of the example shop: Redis is flushed while an order waits, and
// the order is cancelled in time all the same; its twin under the old recipe never is.
//   node scripts/run.mjs scripts/recording.mjs

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import { animatedWebp } from './animated-webp.mjs'
import { project } from './paths.mjs'
import { SetupError } from './processes.mjs'
import { ensureBrowser } from './system.mjs'

const SWITCHES = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync']
/** Nothing scrolls meanwhile. */
const VIEW = { viewport: { width: 1040, height: 1400 }, locale: 'en-GB', colorScheme: 'light' }
const SIZE = { width: 1040, height: 1130 }
const EVERY_MS = 500
const LAST_MS = 4_000
const SCHEMA = 'order_timers_recording'

const executablePath = await ensureBrowser()
if (executablePath === undefined) throw new SetupError('the recording needs a browser')
Object.assign(process.env, { SHOP_SCHEMA: SCHEMA, PAY_AFTER: '9s', CONFIRM_AFTER: '9s' })
const { openShop } = await import('../example/shop.ts')
const { sequelize } = await import('../example/models.ts')
const shop = await openShop(0, false)
const browser = await chromium.launch({ executablePath, args: SWITCHES })
try {
  const pictures = await record(await browser.newPage(VIEW))
  const path = join(project, 'docs', 'pictures', 'redis-is-flushed.webp')
  const recording = animatedWebp(SIZE, await framesOf(await browser.newPage(), pictures))
  await writeFile(path, recording)
  console.info(`written: ${path}, ${Math.round(recording.length / 1000)} kB`)
} finally {
  await browser.close()
  await sequelize.dropSchema(SCHEMA, {})
  await shop.close()
}

/** The page, twice a second, while its story goes on. */
async function record(page) {
  await page.goto(`${shop.address}/break`)
  const press = (name) => page.getByRole('button', { name, exact: true }).click()
  await press('One subscriber')
  await press('Place an order')
  await page.locator('order-countdown[state=running]').waitFor()
  const { y } = await page.locator('.strip').first().boundingBox()
  const clip = { x: 0, y: Math.round(y) - 16, ...SIZE }
  let over = false
  const story = (async () => {
    await delay(3_000)
    await press('Do it: Flush Redis')
    await page.locator('.order .status.s0').waitFor()
    await page.locator('#old-figures .bad').first().waitFor()
    await delay(1_500)
  })().finally(() => {
    over = true
  })
  const pictures = []
  for (let next = performance.now(); !over; next += EVERY_MS) {
    pictures.push(await page.screenshot({ clip }))
    await delay(Math.max(0, next + EVERY_MS - performance.now()))
  }
  await story
  return pictures
}

/** Of each picture the part that differs from the one before. */
async function framesOf(page, pictures) {
  await page.evaluate(`globalThis.nextPart = ${nextPart}`)
  const frames = []
  for (const png of pictures) {
    const part = await page.evaluate((url) => nextPart(url), `data:image/png;base64,${png.toString('base64')}`)
    if (part) frames.push({ ...part, webp: Buffer.from(part.url.split(',')[1], 'base64'), milliseconds: EVERY_MS })
    else frames.at(-1).milliseconds += EVERY_MS
  }
  frames.at(-1).milliseconds += LAST_MS
  return frames
}

/** Runs in the page. */
async function nextPart(url) {
  const image = new Image()
  image.src = url
  await image.decode()
  const { width, height } = image
  const canvas = Object.assign(document.createElement('canvas'), { width, height })
  const context = canvas.getContext('2d', { alpha: false, willReadFrequently: true })
  context.drawImage(image, 0, 0)
  const now = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer)
  const { before } = nextPart
  nextPart.before = now
  let [left, top, right, bottom] = before ? [width, height, 0, 0] : [0, 0, width, height]
  for (let at = 0; before && at < now.length; at += 1) {
    if (now[at] === before[at]) continue
    const [x, y] = [at % width, Math.floor(at / width)]
    left = Math.min(left, x)
    right = Math.max(right, x + 1)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y + 1)
  }
  if (right <= left) return undefined
  const part = { x: left - (left % 2), y: top - (top % 2) }
  const size = { width: right - part.x, height: bottom - part.y }
  const cut = Object.assign(document.createElement('canvas'), size)
  cut.getContext('2d', { alpha: false }).drawImage(image, -part.x, -part.y)
  return { ...part, ...size, url: cut.toDataURL('image/webp', 0.7) }
}
