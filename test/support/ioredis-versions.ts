// The ioredis that the tests use, and the others that the package works with.

import { Redis } from 'ioredis'
import { Redis as Oldest } from 'ioredis-oldest'
import { Redis as Redis5 } from 'ioredis5'

export const CLIENTS = { 'its ioredis': Redis, 'ioredis 5': Redis5, 'ioredis 5.4.1': Oldest } as unknown as Record<string, typeof Redis>
