// Puts pictures together to an animated WebP: https://developers.google.com/speed/webp/docs/riff_container

/** Each frame's own chunks: its pixels, and their transparency. */
const OF_FRAME = ['ALPH', 'VP8 ', 'VP8L']
const ANIMATED = 0x02
/** The frame replaces what was there, and stays. */
const REPLACES = 0x02

export interface Size {
  width: number
  height: number
}

export interface Frame extends Size {
  webp: Buffer
  /** Both are even. */
  x: number
  y: number
  milliseconds: number
}

/** @returns a picture of that size, which repeats for ever */
export function animatedWebp({ width, height }: Size, frames: readonly Frame[]): Buffer {
  const head = Buffer.alloc(10)
  head.writeUInt8(ANIMATED, 0)
  head.writeUIntLE(width - 1, 4, 3)
  head.writeUIntLE(height - 1, 7, 3)
  const body = Buffer.concat([Buffer.from('WEBP'), chunk('VP8X', head), chunk('ANIM', Buffer.alloc(6)), ...frames.map(frameChunk)])
  return chunk('RIFF', body)
}

function frameChunk({ webp, x, y, width, height, milliseconds }: Frame): Buffer {
  const head = Buffer.alloc(16)
  for (const [index, value] of [x / 2, y / 2, width - 1, height - 1, milliseconds].entries()) head.writeUIntLE(value, index * 3, 3)
  head.writeUInt8(REPLACES, 15)
  return chunk('ANMF', Buffer.concat([head, ...pixelChunks(webp)]))
}

function* pixelChunks(webp: Buffer): Generator<Buffer> {
  for (let at = 12; at < webp.length; ) {
    const name = webp.toString('latin1', at, at + 4)
    const end = at + 8 + webp.readUInt32LE(at + 4)
    if (OF_FRAME.includes(name)) yield chunk(name, webp.subarray(at + 8, end))
    at = end + (end % 2)
  }
}

function chunk(name: string, content: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32LE(content.length)
  return Buffer.concat([Buffer.from(name, 'latin1'), size, content, Buffer.alloc(content.length % 2)])
}
