// Makes docs/what-happens-then.webp, the README's picture: the example shop's page before and after deadlines pass, while nobody touches it.
//   node scripts/run.mjs scripts/picture.mjs

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { project } from './paths.mjs'
import { SetupError } from './processes.mjs'
import { ensureBrowser } from './system.mjs'

const SWITCHES = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync']
const SIZE = { viewport: { width: 760, height: 600 }, deviceScaleFactor: 1, locale: 'en-GB' }
const FIRST_AFTER_MS = 1_500
const WAITS_MS = 10_000

const executablePath = await ensureBrowser()
if (executablePath === undefined) throw new SetupError('the picture needs a browser')
Object.assign(process.env, { SHOP_SCHEMA: 'order_timers_picture', PAY_AFTER: '7s', CONFIRM_AFTER: '9s' })
const { openShop } = await import('../example/shop.ts')
const { sequelize } = await import('../example/models.ts')
const shop = await openShop(0, false)
const browser = await chromium.launch({ executablePath, args: SWITCHES })
try {
  const page = await browser.newPage(SIZE)
  await page.request.post(`${shop.address}/staff/sign-in`, { form: { password: 'tea' } })
  const paid = await place(page, 'alishan')
  await page.request.post(`${paid}/pay`)
  const shipped = await place(page, 'ruby')
  await page.request.post(`${shipped}/pay`)
  await page.request.post(`${shipped}/ship`)
  await place(page, 'dongding')
  await page.goto(`${shop.address}/orders`)
  await page.waitForTimeout(FIRST_AFTER_MS)
  const before = await page.locator('main').screenshot()
  await page.waitForTimeout(WAITS_MS)
  const after = await page.locator('main').screenshot()
  await drawTogether(await browser.newPage(SIZE), { Now: before, [`${WAITS_MS / 1000} seconds later, without a request`]: after })
} finally {
  await browser.close()
  await sequelize.dropSchema('order_timers_picture', {})
  await shop.close()
}

/** Resolves to the order's address. */
async function place(page, tea) {
  await page.request.post(`${shop.address}/basket`, { form: { add: tea } })
  return (await page.request.post(`${shop.address}/checkout`)).url()
}

/** One picture of several, each under its title. */
async function drawTogether(page, pictures) {
  const figures = Object.entries(pictures).map(([title, png]) => {
    return `<figure><figcaption>${title}</figcaption><img src="data:image/png;base64,${png.toString('base64')}"></figure>`
  })
  await page.setContent(`<style>
    body { margin: 0; background: #fbfaf6; color: #1d2620; font: 600 17px system-ui, sans-serif }
    main { display: grid; gap: 20px; padding: 20px 24px }
    figure { margin: 0 }
    figcaption { margin-bottom: 8px }
    img { display: block; width: 100% }
  </style><main>${figures.join('')}</main>`)
  const path = join(project, 'docs', 'what-happens-then.webp')
  await writeFile(path, await toWebp(page, await page.locator('main').screenshot()))
  console.info(`written: ${path}`)
}

/** A third of a PNG's size: the picture travels in the package. */
async function toWebp(page, png) {
  const url = await page.evaluate(
    async (source) => {
      const image = new Image()
      image.src = source
      await image.decode()
      const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height })
      canvas.getContext('2d').drawImage(image, 0, 0)
      return canvas.toDataURL('image/webp', 0.3)
    },
    `data:image/png;base64,${png.toString('base64')}`,
  )
  return Buffer.from(url.split(',')[1], 'base64')
}
