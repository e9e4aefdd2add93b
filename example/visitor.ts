// Who looks: a buyer is whoever has a cookie, staff is whoever has signed in with the demo's password. Sessions are in memory.

import { randomUUID } from 'node:crypto'
import type { Request, RequestHandler, Response } from 'express'
import { type Tea, teaNamed } from './pages/teas.js'
import { type Language, WORDS, type Words } from './pages/words.js'

const staffSessions = new Set<string>()
const ID = /^[0-9a-f-]{36}$/
const KEPT = { httpOnly: true, sameSite: 'lax', path: '/' } as const

export interface Visitor {
  buyer: string
  /** How many teas are in the basket. */
  basket: number
  isStaff: boolean
  language: Language
  words: Words
}

declare global {
  namespace Express {
    interface Locals {
      visitor: Visitor
    }
  }
}

/** Gives whoever has none a cookie. */
export const meetVisitor: RequestHandler = (req, res, next) => {
  const cookies = cookiesOf(req)
  const wished = req.query.lang
  if (wished === 'en' || wished === 'zh-TW') res.cookie('lang', wished, KEPT)
  const language = languageOf(wished ?? cookies.lang ?? (/^\s*zh/i.test(req.headers['accept-language'] ?? '') ? 'zh-TW' : 'en'))
  const buyer = buyerOf(req) ?? randomUUID()
  if (cookies.buyer !== buyer) res.cookie('buyer', buyer, KEPT)
  res.locals.visitor = { buyer, basket: basketOf(req).length, isStaff: isStaff(req), language, words: WORDS[language] }
  next()
}

export const staffOnly: RequestHandler = (req, res, next) => (isStaff(req) ? next() : res.redirect(303, '/staff/sign-in'))

export function buyerOf(req: Request): string | undefined {
  const { buyer } = cookiesOf(req)
  return buyer !== undefined && ID.test(buyer) ? buyer : undefined
}

export function basketOf(req: Request): Tea[] {
  return (cookiesOf(req).basket ?? '').split('.').flatMap((id) => teaNamed(id) ?? [])
}

/** Looks the session up each time, since a stream of countdowns is one request for hours. */
export function isStaff(req: Request): boolean {
  return staffSessions.has(cookiesOf(req).staff ?? '')
}

export function signIn(res: Response): void {
  const session = randomUUID()
  staffSessions.add(session)
  res.cookie('staff', session, KEPT)
}

export function signOut(req: Request, res: Response): void {
  staffSessions.delete(cookiesOf(req).staff ?? '')
  res.clearCookie('staff', KEPT)
}

function cookiesOf(req: Request): Record<string, string | undefined> {
  const pairs = (req.headers.cookie ?? '').split(/;\s*/).map((pair) => pair.split('=', 2) as [string, string?])
  return Object.fromEntries(pairs.map(([name, value = '']) => [name, value]))
}

function languageOf(wished: unknown): Language {
  return wished === 'zh-TW' ? 'zh-TW' : 'en'
}
