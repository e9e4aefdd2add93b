// The words of the page on which things are broken, in the shop's two languages.

import type { Language } from '../pages/words.js'

const en = {
  about: 'Place an order, break something, and watch: the deadline is on the order’s row in Postgres, so it is settled all the same, once.',
  yours: 'Your orders',
  place: 'Place an order',
  now: 'The last minute',
  workerOn: 'worker runs',
  workerOff: 'no worker',
  doIt: 'Do it',
  code: 'The code',
  onlySeparate: 'Only with npm run demo -- --worker separate.',
  old: 'The old recipe, on the same orders',
  oldAbout: 'SETEX, and a subscriber to expired keys. It gets a twin of each order from when it is switched on.',
  listeners: { 0: 'Switch off', 1: 'One subscriber', 2: 'Two subscribers' } as Record<number, string>,
  listening: ['off', 'one subscriber', 'two subscribers'],
  figures: {
    settled: 'settled',
    median: 'late, median',
    latest: 'late, most',
    via: 'alarm / event / sweep',
    overdue: 'overdue now',
    lost: 'lost',
    early: 'early',
    twice: 'twice',
  },
  oldFigures: { done: 'done', latest: 'late, most', overdue: 'due for 5 s, no event', twice: 'done twice' },
  breaks: {
    flush: ['Flush Redis', 'All timers in Redis are gone.'],
    cut: ['Cut the listeners', 'Nobody hears Redis for five seconds.'],
    stop: ['Stop the worker', 'Nobody settles orders until it is started again.'],
    start: ['Start the worker', 'It settles at once what came due meanwhile.'],
    kill: ['kill -9 the worker', 'In the midst of whatever it does.'],
    rush: ['10,000 orders at once', 'All of them are due at the same moment, in eight seconds.'],
    foreign: ['100,000 foreign keys', 'Redis finds expired keys later the more there are.'],
    webhook: ['A late payment', 'It comes a second after the order was cancelled. Watch the log.'],
    hold: ['The payment provider is down', 'Nobody can pay, so nothing unpaid is cancelled: the kind is held.'],
    release: ['The payment provider is back', 'Whoever could not pay has 15 seconds more.'],
  } as Record<string, [string, string]>,
  /** What has happened, once it is done. */
  outcome: {
    flush:
      'Redis had {n} keys, and has lost them. No deadline is lost: each is on its order’s row in Postgres. The worker notices, reads the rows, and sets the timers again.',
    cut: 'For five seconds the worker heard nothing from Redis. It does not wait for events: it sleeps until the next deadline, and looks whatever it hears.',
    stop: 'The worker has stopped. Orders that come due now stay as they are, and the figures above count them as overdue. Start it again.',
    start: 'The worker runs. What came due meanwhile was on the rows: its first sweep finds it.',
    kill: 'The worker is dead, and Postgres has rolled back what it was doing. It is started again after a second, and does it once.',
    rush: '{n} orders are placed. All of them come due at the same moment, in a few seconds.',
    foreign:
      'Redis has {n} more keys, and announces expired ones late, since it has to find them first. The old recipe waits for that. The worker does not.',
    webhook:
      'The payment for order {n} came after it was cancelled. The UPDATE names the status it comes from, so it changed nothing: the money goes back.',
    hold: 'Nothing unpaid is cancelled from now on, and the countdowns say so. Let the provider come back.',
    release: 'The hold is over. Unpaid orders have 15 seconds at least.',
  } as Record<string, string>,
}

const zh: typeof en = {
  about: '下一張訂單，弄壞一樣東西，看看會怎樣：期限寫在 Postgres 的訂單上，所以照樣會處理，而且只處理一次。',
  yours: '你的訂單',
  place: '下一張訂單',
  now: '最近一分鐘',
  workerOn: 'worker 執行中',
  workerOff: '沒有 worker',
  doIt: '動手',
  code: '程式碼',
  onlySeparate: '只在 npm run demo -- --worker separate 時可用。',
  old: '舊作法，處理同一批訂單',
  oldAbout: 'SETEX 加上訂閱過期事件。開啟之後，每張訂單都有一個分身。',
  listeners: { 0: '關閉', 1: '一個訂閱者', 2: '兩個訂閱者' },
  listening: ['未開啟', '一個訂閱者', '兩個訂閱者'],
  figures: {
    settled: '已處理',
    median: '延遲中位數',
    latest: '最大延遲',
    via: '鬧鐘 / 事件 / 掃描',
    overdue: '目前逾時',
    lost: '遺失',
    early: '過早',
    twice: '重複',
  },
  oldFigures: { done: '已處理', latest: '最大延遲', overdue: '逾時 5 秒無事件', twice: '重複處理' },
  breaks: {
    flush: ['清空 Redis', 'Redis 裡的計時器全部消失。'],
    cut: ['切斷監聽', '五秒內沒有人聽得到 Redis。'],
    stop: ['停止 worker', '在重新啟動之前，沒有人處理訂單。'],
    start: ['啟動 worker', '立刻處理這段時間到期的訂單。'],
    kill: ['kill -9 worker', '不管它正在做什麼。'],
    rush: ['一萬張訂單同時到期', '八秒後全部在同一刻到期。'],
    foreign: ['十萬個外來的鍵', '鍵越多，Redis 越晚發現過期。'],
    webhook: ['遲來的付款', '訂單取消一秒後才到。請看紀錄。'],
    hold: ['金流服務中斷', '沒有人能付款，所以未付款的訂單先不取消：整類暫停。'],
    release: ['金流服務恢復', '來不及付款的人還有 15 秒。'],
  },
  outcome: {
    flush:
      'Redis 原有 {n} 個鍵，現在全部消失。期限一個也沒有遺失：每張訂單的期限都寫在 Postgres 裡。worker 發現後會讀取訂單，重新設好計時器。',
    cut: 'worker 有五秒聽不到 Redis。它不靠事件：它睡到下一個期限，時間一到就去看訂單。',
    stop: 'worker 已停止。現在到期的訂單維持原狀，上方的數字會把它們算成逾時。請再啟動它。',
    start: 'worker 執行中。這段時間到期的訂單都寫在資料庫裡，第一次掃描就會找到。',
    kill: 'worker 被強制終止，它做到一半的事已由 Postgres 復原。一秒後會重新啟動，並且只處理一次。',
    rush: '已下 {n} 張訂單，幾秒後同時到期。',
    foreign: 'Redis 多了 {n} 個鍵，要先找到過期的鍵才會通知，所以變晚了。舊作法只能等通知，worker 不用。',
    webhook: '訂單 {n} 的付款在取消之後才到。更新時會指明原本的狀態，所以什麼都沒改：款項退回。',
    hold: '從現在起未付款的訂單不會取消，倒數也會這樣顯示。請讓金流服務恢復。',
    release: '暫停結束。未付款的訂單至少還有 15 秒。',
  },
}

export const BREAK_WORDS: Record<Language, typeof en> = { en, 'zh-TW': zh }
