package serve

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
)

// Users are names and the bcrypt hashes of their passwords.
type Users struct{ hashes map[string][]byte }

// Bounds on a file of users.
const (
	maxUsers    = 100_000
	maxUserLine = 1024 // bytes
	maxCost     = 16   // of a hash: a check of more takes seconds
)

// ParseUsers reads what htpasswd -B writes: a name, a colon and a bcrypt hash a
// line; # begins a comment. Other hashes are refused, as distribution does.
func ParseUsers(r io.Reader) (*Users, error) {
	u := &Users{hashes: map[string][]byte{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxUserLine)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := u.add(line); err != nil {
			return nil, report.WithHint(fmt.Errorf("reading users: line %d: %w", number, err), "htpasswd -B -c FILE NAME writes such a file")
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading users: %w", err)
	}
	if len(u.hashes) == 0 {
		return nil, report.WithHint(errors.New("reading users: there are none"), "htpasswd -B -c FILE NAME writes such a file")
	}
	return u, nil
}

// add takes a line. What is wrong with it is told without what it says.
func (u *Users) add(line string) error {
	name, hash, ok := strings.Cut(line, ":")
	if !ok || name == "" {
		return errors.New("no name and no colon")
	}
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case err != nil:
		return errors.New("the password is not hashed with bcrypt")
	case cost > maxCost:
		return fmt.Errorf("its bcrypt hash has the cost %d, over %d", cost, maxCost)
	case len(u.hashes) == maxUsers:
		return fmt.Errorf("more than %d users", maxUsers)
	}
	u.hashes[name] = []byte(hash)
	return nil
}

// nobody is a hash that no password has, of the cost that htpasswd uses.
var nobody = []byte("$2y$05$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")

// Right tells whether a password is the user's. It takes as long for names that
// there are not.
func (u *Users) Right(name, password string) bool {
	hash, known := u.hashes[name]
	if !known {
		hash = nobody
	}
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil && known
}
