// The shop's customers and staff: what they do goes over HTTP, as in life.

export interface SeenOrder {
  id: number
  status: number
  createdAt: string
  confirmDueAt: string | null
}

export class Customer {
  constructor(private readonly address: string) {}

  place(item: string): Promise<SeenOrder> {
    return this.post('/orders', { item })
  }

  async placeAndPay(item: string): Promise<SeenOrder> {
    const { id } = await this.place(item)
    return this.post(`/orders/${id}/pay`)
  }

  async receive(item: string): Promise<SeenOrder> {
    const { id } = await this.placeAndPay(item)
    return this.post(`/orders/${id}/ship`)
  }

  confirm(id: number): Promise<SeenOrder> {
    return this.post(`/orders/${id}/confirm`)
  }

  extend(id: number, by: string): Promise<SeenOrder> {
    return this.post(`/orders/${id}/extend`, { by })
  }

  private async post(path: string, body: object = {}): Promise<SeenOrder> {
    const response = await fetch(this.address + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const answer = (await response.json()) as SeenOrder & { error?: string }
    if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${answer.error}`)
    return answer
  }
}
