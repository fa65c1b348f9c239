package caddymodule

import (
	"net/netip"
	"sync"
)

// pageQueue keeps the data that pages report until the store accepts it, in order
// of arrival. If it is full, the client with the most entries loses its latest
// one, so that one client's flood costs only that client.
type pageQueue struct {
	mu        sync.Mutex
	more      sync.Cond // an entry has come, or the queue is closed
	all       []pageTold
	perClient map[netip.Addr]int // number of entries per client
	closed    bool
}

func newPageQueue() *pageQueue {
	q := &pageQueue{perClient: make(map[netip.Addr]int)}
	q.more.L = &q.mu
	return q
}

// put adds an entry; false if this one or another one was dropped.
func (q *pageQueue) put(t pageTold) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	full := len(q.all) >= pageQueueLen
	if full && !q.makeRoom(t.client) {
		return false
	}
	q.all = append(q.all, t)
	q.perClient[t.client]++
	q.more.Signal()
	return !full
}

// makeRoom drops the latest entry of the client with the most; false if that is
// the client that needs the room.
func (q *pageQueue) makeRoom(client netip.Addr) bool {
	most := client
	for c, n := range q.perClient {
		if n > q.perClient[most] {
			most = c
		}
	}
	if most == client {
		return false
	}
	for i := len(q.all) - 1; i >= 0; i-- {
		if q.all[i].client == most {
			q.all = append(q.all[:i], q.all[i+1:]...)
			q.countDown(most)
			return true
		}
	}
	return false
}

// take waits for the first entry; false if the queue is closed and empty.
func (q *pageQueue) take() (pageTold, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.all) == 0 {
		if q.closed {
			return pageTold{}, false
		}
		q.more.Wait()
	}
	t := q.all[0]
	q.all[0] = pageTold{}
	if q.all = q.all[1:]; len(q.all) == 0 {
		q.all = nil
	}
	q.countDown(t.client)
	return t, true
}

// countDown records that an entry of the client has been removed.
func (q *pageQueue) countDown(client netip.Addr) {
	if q.perClient[client]--; q.perClient[client] == 0 {
		delete(q.perClient, client)
	}
}

// close lets take end once the queue is empty.
func (q *pageQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.more.Broadcast()
}
