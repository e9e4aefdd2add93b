// The frame of each page.

import type { Visitor } from '../visitor.js'
import { type Content, html, type Markup } from './html.js'

export interface Page {
  title: string
  /** The path, for the mark in the menu. */
  path: string
  main: Content
}

export function layout({ language, words, isStaff, basket }: Visitor, { title, path, main }: Page): string {
  const { nav } = words
  const staff: [string, string][] = isStaff
    ? [
        ['/staff', nav.ship],
        ['/staff/disputes', nav.disputes],
        ['/staff/overview', nav.overview],
        ['/staff/timers/', nav.timers],
      ]
    : [['/staff', nav.staff]]
  const links: [string, string][] = [
    ['/', nav.tea],
    ['/basket', `${nav.basket}${basket > 0 ? ` (${basket})` : ''}`],
    ['/orders', nav.orders],
    ...staff,
    ['/break', nav.break],
  ]
  const other = language === 'en' ? (['zh-TW', '繁體中文'] as const) : (['en', 'English'] as const)
  const page = html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · ${words.shop}</title>
<link rel="icon" href="/leaf.svg">
<link rel="stylesheet" href="/shop.css">
<script type="module" src="/countdown/order-countdown.js"></script>
<script type="module" src="/shop.js"></script>
</head>
<body>
<header>
<a class="brand" href="/"><img src="/leaf.svg" alt="" width="28" height="28">${words.shop}</a>
<nav aria-label="${words.shop}">${links.map(([href, text]) => link(href, text, path))}</nav>
<a class="language" href="${path}?lang=${other[0]}" lang="${other[0]}" hreflang="${other[0]}">${other[1]}</a>
</header>
<main tabindex="-1"><h1>${title}</h1>${main}</main>
<p id="news" class="unseen" role="status"></p>
</body>
</html>`
  return page.text
}

function link(href: string, text: string, path: string): Markup {
  return html`<a href="${href}"${href === path ? html` aria-current="page"` : ''}>${text}</a>`
}
