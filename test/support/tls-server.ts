// A server in front of a Redis that speaks TLS, as managed ones do; Redis need not be built with it. The certificates are each their own
// authority, made for redis.test and for nothing but these tests: one is valid until 2120, the other was for a day of 2020.

import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { createServer, type Server } from 'node:tls'
import { enter } from './opened.js'

export interface Identity {
  key: string
  cert: string
}

export const VALID: Identity = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1ThN/bCGvGALCIKq
K93Dcf2feQxjFceNzI765RV5HXKhRANCAAT44GUyIVIWWzJqNvXicW06IukNolbn
KtpGd9aYxj58nhp86Q4Hz7pt8MDSNFl0OXWYfego3E48N59yJLXNH9HK
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBUjCB+aADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCnJlZGlzLnRl
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBUxEzARBgNVBAMM
CnJlZGlzLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT44GUyIVIWWzJq
NvXicW06IukNolbnKtpGd9aYxj58nhp86Q4Hz7pt8MDSNFl0OXWYfego3E48N59y
JLXNH9HKozgwNjAVBgNVHREEDjAMggpyZWRpcy50ZXN0MB0GA1UdDgQWBBQ9mNYs
rtytdEWj5W8bI4j0KmhKQTAKBggqhkjOPQQDAgNIADBFAiEAyfa6Z3iN58rZo+hm
WVSJkiGv6VGc40B00Tl/bFTfqCACIFiIJCDZRZC1yogrEUntf4qfIW2/Qglwiz+n
WpctTbdt
-----END CERTIFICATE-----`,
}

export const EXPIRED: Identity = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbeCzqKH/z6PczyWi
xIRj6zAB7W9Ncpe/HCBbqXAph+2hRANCAATDnTVxkuVA7Fg9JLIulnh7wDJiR1CB
2XQG1H8l0kLPp+9BemCOl4cVy01FJ9nhTlVaAjL4YXEs6Yj/v50B7QCF
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBUTCB96ADAgECAgECMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCnJlZGlzLnRl
c3QwHhcNMjAwMTAxMDAwMDAwWhcNMjAwMTAyMDAwMDAwWjAVMRMwEQYDVQQDDApy
ZWRpcy50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEw501cZLlQOxYPSSy
LpZ4e8AyYkdQgdl0BtR/JdJCz6fvQXpgjpeHFctNRSfZ4U5VWgIy+GFxLOmI/7+d
Ae0AhaM4MDYwFQYDVR0RBA4wDIIKcmVkaXMudGVzdDAdBgNVHQ4EFgQUTollRCd7
6F5CTiwIdAF4E9vcBrkwCgYIKoZIzj0EAwIDSQAwRgIhAKMdkUod3gnpQ+DyN51P
pJB8L45nn6QDPPN+ycw39jtIAiEA1q/kL8mHGhxFi0Zok7x0Z7Telr0e/iQzaCEF
Kan7MuA=
-----END CERTIFICATE-----`,
}

export class TlsServer {
  private readonly sockets = new Set<Socket>()
  private readonly close: () => void

  private constructor(
    private readonly server: Server,
    private readonly targetPort: number,
  ) {
    this.close = enter('a TLS server', () => this.stop())
    server.on('tlsClientError', () => {})
    server.on('secureConnection', (client) => this.carry(client))
  }

  static async start(identity: Identity, targetPort: number): Promise<TlsServer> {
    const server = createServer(identity).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TlsServer(server, targetPort)
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Ends every connection; new ones are accepted. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  async stop(): Promise<void> {
    this.cut()
    this.server.close()
    await once(this.server, 'close')
    this.close()
  }

  private carry(client: Socket): void {
    const upstream = connect({ port: this.targetPort, host: '127.0.0.1', noDelay: true })
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.sockets.add(from)
      from.pipe(to)
      from.on('error', () => {})
      from.on('close', () => {
        this.sockets.delete(from)
        to.destroy()
      })
    }
  }
}
