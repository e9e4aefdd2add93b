// The primary keys that orders may have: whole numbers, UUIDs or text.

import { type IdParser, nameId, uuidId, wholeNumberId } from '../ids.js'

export interface IdType {
  parse: IdParser
  sort: 'number' | 'uuid' | 'text'
  /** An example id of this type. */
  example: string
}

/** @param key Sequelize's name of the attribute's type; undefined for a type that no primary key of orders may have */
export function idTypeOf(key: string): IdType | undefined {
  switch (key) {
    case 'INTEGER':
    case 'BIGINT':
    case 'SMALLINT':
      return { parse: wholeNumberId(key), sort: 'number', example: '1' }
    case 'UUID':
    case 'UUIDV4':
      return { parse: uuidId, sort: 'uuid', example: '00000000-0000-4000-8000-000000000000' }
    case 'STRING':
    case 'TEXT':
    case 'CHAR':
      return { parse: nameId, sort: 'text', example: 'a' }
    default:
      return undefined
  }
}
