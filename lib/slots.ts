// Slots of Redis Cluster: a key's slot is the CRC16 of its name modulo 16,384, or of the text in its first braces, the hash tag
// (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model).

export const SLOTS = 16_384

/** Up to this many partitions have different slots. */
export const MOST_PARTITIONS = 64

/** The slot of partition 0, whatever the number of partitions. No partition's slot is at the edge of a node's range. */
const FIRST_SLOT = 128

/** The slot of a key. */
export function slotOf(key: string): number {
  return crc16(hashTag(key) ?? key) % SLOTS
}

/** The text that decides the slot of a key: that in its first braces. */
export function hashTag(key: string): string | undefined {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  return close > open + 1 ? key.slice(open + 1, close) : undefined
}

/** A hash tag whose slot is one of these: always the same for the same slots. @throws RangeError where none of these is a slot: no tag would be found */
export function tagIn(slots: ReadonlySet<number>): string {
  if (!hasSlot(slots)) throw new RangeError('no hash tag has any of these slots')
  for (let n = 0; ; n += 1) {
    const tag = n.toString(36)
    if (slots.has(slotOf(tag))) return tag
  }
}

const tags = new Map<number, string>()

/**
 * The hash tag of a partition. The slots are spread evenly, so that each node gets its share. The same in every process.
 * @throws RangeError where there is no such partition
 */
export function tagOf(partition: number, partitions: number): string {
  if (!(partition >= 0 && partition < partitions)) throw new RangeError(`there is no partition ${partition} of ${partitions}`)
  const slot = FIRST_SLOT + Math.floor((partition * SLOTS) / partitions)
  const tag = tags.get(slot) ?? tagIn(new Set([slot]))
  tags.set(slot, tag)
  return tag
}

function hasSlot(numbers: ReadonlySet<number>): boolean {
  for (const number of numbers) if (Number.isInteger(number) && number >= 0 && number < SLOTS) return true
  return false
}

/** CRC-16/XMODEM. */
function crc16(text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff
  }
  return crc
}
