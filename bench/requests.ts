// Requests over HTTP on loopback, by autocannon: so many of them, or for so long. Any answer but a 2xx is an error.
export interface Load {
  url: string
  method?: 'GET' | 'POST'
  connections: number
  requests?: number
  seconds?: number
}

export interface Answered {
  perSecond: number
  elapsedMs: number
}

export async function sendRequests({ url, method = 'GET', connections, requests, seconds }: Load): Promise<Answered> {
  // Here and not above: the command line is read before the packages of bench/ are installed.
  const { default: autocannon } = await import('autocannon')
  const started = performance.now()
  const extent = requests === undefined ? { duration: seconds ?? 1 } : { amount: requests }
  const result = await autocannon({ url, method, connections, ...extent })
  const elapsedMs = performance.now() - started
  const bad = result.non2xx + result.errors + result.timeouts
  if (bad > 0) throw new Error(`${bad} of ${result.requests.total} requests to ${url} failed`)
  return { perSecond: result.requests.total / (elapsedMs / 1000), elapsedMs }
}
