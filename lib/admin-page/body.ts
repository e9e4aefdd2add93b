// The JSON body of an action, with or without a body parser of the shop in front of the page.

import type { Request } from 'express'
import { Refusal } from '../web/refusal.js'

/** 200 ids with their deadlines take less than 40 kB. */
const MOST_BYTES = 100_000

/** @throws Refusal 400, 413, 415 */
export async function jsonBody(req: Request): Promise<Record<string, unknown>> {
  // A form on another site can send text/plain, which a lenient parser may accept as JSON.
  if (!/^application\/json\s*(?:;|$)/i.test(req.headers['content-type'] ?? '')) {
    throw new Refusal(415, 'NOT_JSON', 'an action is sent as application/json')
  }
  const { body } = req as { body?: unknown }
  if (Buffer.isBuffer(body) || typeof body === 'string') return parsed(String(body))
  // Not `complete`: while an async login was asked, a short body may have arrived completely although nobody has read it.
  if (req.readableEnded || req.readableDidRead) return object(body)
  if (body !== undefined && !isEmpty(body)) return object(body)
  if (req.destroyed) throw aborted()
  return parsed(await read(req))
}

/** Express 4's parsers leave `{}` if they have read nothing. */
function isEmpty(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Object.keys(body).length === 0
}

function read(req: Request): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    req.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= MOST_BYTES) return void chunks.push(chunk)
      // The rest is read and dropped: a browser reads no answer while it is still sending.
      reject(new Refusal(413, 'TOO_LARGE', `an action takes at most ${MOST_BYTES} bytes`))
    })
    req.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    req.on('error', reject)
    req.on('aborted', () => reject(aborted()))
  })
}

function aborted(): Refusal {
  return new Refusal(400, 'ABORTED', 'the request was aborted')
}

function parsed(text: string): Record<string, unknown> {
  try {
    return object(JSON.parse(text))
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(400, 'NOT_JSON', 'the body is not JSON')
  }
}

function object(value: unknown): Record<string, unknown> {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>
  throw new Refusal(400, 'NOT_JSON', 'the body must be a JSON object')
}
