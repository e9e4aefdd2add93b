// Makes docs/what-happens-then.webp, the README's picture: the example shop's page before and after deadlines pass, while nobody touches it.
//   node scripts/run.mjs scripts/picture.mjs

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { readConfig } from '../example/config.ts'
import { PAID, PLACED, SHIPPED } from '../example/models.ts'
import { openShop } from '../example/shop.ts'
import { project } from './paths.mjs'
import { SetupError } from './processes.mjs'
import { ensureBrowser } from './system.mjs'

const SWITCHES = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync']
const SIZE = { viewport: { width: 860, height: 600 }, deviceScaleFactor: 2 }
const FIRST_AFTER_MS = 1_500
const WAITS_MS = 10_000

const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error }
const executablePath = await ensureBrowser()
if (executablePath === undefined) throw new SetupError('the picture needs a browser')
const config = { ...readConfig(process.env), schema: 'order_timers_picture', payAfter: '5s', confirmAfter: '9s' }
const shop = await openShop(config, quiet)
const browser = await chromium.launch({ executablePath, args: SWITCHES })
try {
  await shop.startWorker().ready
  await shop.Order.create({ item: 'Jasmine tea', status: PAID })
  const page = await browser.newPage(SIZE)
  await page.goto(await shop.listen(0))
  const shipped = await shop.Order.create({ item: 'Black tea', status: SHIPPED })
  await shop.timers.schedule('order_confirm', shipped)
  const placed = await shop.Order.create({ item: 'Oolong', status: PLACED })
  await shop.timers.schedule('order_pay', placed)
  await page.waitForTimeout(FIRST_AFTER_MS)
  const before = await page.locator('table').screenshot()
  await page.waitForTimeout(WAITS_MS)
  const after = await page.locator('table').screenshot()
  await drawTogether(await browser.newPage(SIZE), { Now: before, [`${WAITS_MS / 1000} seconds later, without a request`]: after })
} finally {
  await browser.close()
  await shop.sequelize.dropSchema(config.schema, {})
  await shop.close()
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
      return canvas.toDataURL('image/webp', 0.8)
    },
    `data:image/png;base64,${png.toString('base64')}`,
  )
  return Buffer.from(url.split(',')[1], 'base64')
}
