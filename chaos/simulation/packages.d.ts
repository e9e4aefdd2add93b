declare module 'luaparse' {
  const luaparse: { parse(lua: string, options: { luaVersion: '5.1'; encodingMode: 'pseudo-latin1' }): unknown }
  export default luaparse
}

declare module 'redis-parser' {
  interface ParserOptions {
    returnBuffers?: boolean
    returnReply(reply: unknown): void
    returnError(error: Error): void
  }
  export default class RedisParser {
    constructor(options: ParserOptions)
    execute(data: Buffer): void
  }
}
