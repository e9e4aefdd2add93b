// Responses of the package's own routes: a text with its length, or a refusal as JSON.

import type { Request, Response } from 'express'
import type { Refusal } from './refusal.js'

export const JSON_TYPE = 'application/json; charset=utf-8'

/** @returns the path, and what follows the question mark */
export function splitUrl(url: string): [string, string] {
  const at = url.indexOf('?')
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

export function answer(req: Request, res: Response, type: string, text: string): void {
  res.statusCode = 200
  res.setHeader('Content-Type', type)
  res.setHeader('Content-Length', Buffer.byteLength(text))
  res.end(req.method === 'HEAD' ? undefined : text)
}

export function refuse(res: Response, { status, code, message }: Refusal): void {
  if (res.headersSent) return void res.destroy()
  res.statusCode = status
  res.setHeader('Content-Type', JSON_TYPE)
  res.end(JSON.stringify({ error: { code, message } }))
}
