package devstore

import (
	"errors"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3err"
)

// accounts is a fixed set of accounts by access key, held in memory: no secret of a region is ever on disk.
type accounts map[string]auth.Account

var _ auth.IAMService = accounts{}

func newAccounts(o order) accounts {
	return accounts{
		o.ClientKey: {Access: o.ClientKey, Secret: o.ClientSecret, Role: auth.RoleAdmin},
		// The replicator owns the bucket, and is no administrator: a bucket policy that denies it something is obeyed.
		o.ReplicatorKey: {Access: o.ReplicatorKey, Secret: o.ReplicatorSecret, Role: auth.RoleUser},
	}
}

// GetUserAccount returns the account of an access key, or auth.ErrNoSuchUser.
func (a accounts) GetUserAccount(access string) (auth.Account, error) {
	account, ok := a[access]
	if !ok {
		return auth.Account{}, auth.ErrNoSuchUser
	}
	return account, nil
}

// ResolveAccounts returns those of the access keys that belong to no account.
func (a accounts) ResolveAccounts(keys []string) ([]string, error) {
	missing := []string{}
	for _, key := range keys {
		if _, err := a.GetUserAccount(key); errors.Is(err, auth.ErrNoSuchUser) {
			missing = append(missing, key)
		}
	}
	return missing, nil
}

// ListUserAccounts is refused: only the admin API asks for it, which is off.
func (a accounts) ListUserAccounts() ([]auth.Account, error) { return nil, errFixedAccounts() }

// CreateAccount is refused: the set is fixed.
func (a accounts) CreateAccount(auth.Account) error { return errFixedAccounts() }

// UpdateUserAccount is refused: the set is fixed.
func (a accounts) UpdateUserAccount(string, auth.MutableProps) error { return errFixedAccounts() }

// DeleteUserAccount is refused: the set is fixed.
func (a accounts) DeleteUserAccount(string) error { return errFixedAccounts() }

// Shutdown has nothing to do.
func (a accounts) Shutdown() error { return nil }

func errFixedAccounts() error { return s3err.GetAPIError(s3err.ErrAdminMethodNotSupported) }
