package replicate

import (
	"context"
	"sync"
)

// Turns has the tasks of one key to one site take turns, as a bucket without versions needs: two replicas of the same bytes have
// the same ETag, so that the condition of a write cannot tell which one it replaces, and nothing shows afterwards. It holds
// within one process. The zero value is ready; nil is no turns. It is safe for concurrent use.
type Turns struct {
	mu    sync.Mutex
	turns map[string]*turn
}

// turn is that of one key. The mutex of the Turns guards users.
type turn struct {
	token chan struct{} // holds one while nobody has the lock
	users int           // who has it, or waits for it
}

// lock waits for the key's turn. It returns the context's error when that ends first, and otherwise unlock is to be called.
func (l *Turns) lock(ctx context.Context, key string) (unlock func(), err error) {
	if l == nil {
		return func() {}, nil
	}
	l.mu.Lock()
	if l.turns == nil {
		l.turns = make(map[string]*turn)
	}
	t := l.turns[key]
	if t == nil {
		t = &turn{token: make(chan struct{}, 1)}
		t.token <- struct{}{}
		l.turns[key] = t
	}
	t.users++
	l.mu.Unlock()
	select {
	case <-t.token:
		return func() { t.token <- struct{}{}; l.leave(key, t) }, nil
	case <-ctx.Done():
		l.leave(key, t)
		return nil, ctx.Err()
	}
}

func (l *Turns) leave(key string, t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(l.turns, key)
	}
}
