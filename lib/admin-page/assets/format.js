// Times, durations and counts as text, in the language of the page.

import { h } from './dom.js'
import en from './words-en.js'
import zh from './words-zh.js'

export const lang = document.documentElement.lang === 'zh-TW' ? 'zh-TW' : 'en'
export const words = lang === 'zh-TW' ? zh : en

const CAP = 10_000
const numbers = new Intl.NumberFormat(lang)
const clock = new Intl.DateTimeFormat(lang, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const day = new Intl.DateTimeFormat(lang, { month: 'short', day: 'numeric' })

export function number(count) {
  return numbers.format(count)
}

/** Counts end at 10,000. */
export function capped(count) {
  return count > CAP ? `${numbers.format(CAP)}+` : numbers.format(count)
}

/** The two largest units of a duration. */
export function span(milliseconds) {
  const { units } = words
  const ms = Math.abs(milliseconds)
  const put = (value, unit) => `${numbers.format(value)}${units.gap}${units[unit]}`
  if (ms < 1_000) return put(ms < 10 && ms % 1 !== 0 ? Math.round(ms * 10) / 10 : Math.round(ms), 'ms')
  const s = ms / 1_000
  if (s < 10) return put(Math.round(s * 10) / 10, 's')
  if (s < 60) return put(Math.floor(s), 's')
  const two = (large, largeUnit, small, smallUnit) =>
    small > 0 ? `${put(large, largeUnit)} ${put(small, smallUnit)}` : put(large, largeUnit)
  const minutes = Math.floor(s / 60)
  if (minutes < 60) return two(minutes, 'min', Math.floor(s % 60), 's')
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return two(hours, 'h', minutes % 60, 'min')
  return two(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

export function ago(milliseconds) {
  return milliseconds < 1_000 ? words.just : words.ago(span(milliseconds))
}

/** The time of day, with the date if it is not today. */
export function at(milliseconds) {
  const date = new Date(milliseconds)
  const today = date.toDateString() === new Date().toDateString()
  return today ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`
}

/** An instant, with its ISO form as a tooltip. */
export function time(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return null
  const date = new Date(milliseconds)
  if (Number.isNaN(date.getTime())) return h('span', {}, '∞')
  return h('time', { datetime: date.toISOString(), title: date.toISOString() }, at(milliseconds))
}

export function percent(share) {
  return `${share > 0 && share < 0.01 ? '<1' : Math.round(share * 100)} %`
}
