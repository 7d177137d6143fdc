package chatbot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// Store keeps chats in an SQLite file. After Save has returned, a chat survives a kill.
type Store struct{ db *sql.DB }

// migrations make the tables and update those of older versions of this program. The file
// records how many migrations it has had. Append new ones at the end.
var migrations = []string{
	`CREATE TABLE chats (name TEXT PRIMARY KEY, saved BLOB NOT NULL, changed INTEGER NOT NULL)`,
	`ALTER TABLE chats ADD COLUMN message TEXT NOT NULL DEFAULT ''`, // the id of the last message
}

// OpenStore opens a file, or creates it, and applies the missing migrations.
func OpenStore(ctx context.Context, path string) (*Store, error) {
	name := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate"}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, db, migrations); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("the chats in %s: %w", path, err)
	}
	return &Store{db}, nil
}

// migrate applies the missing migrations, all or none.
func migrate(ctx context.Context, db *sql.DB, changes []string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	var applied int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&applied); err != nil {
		return err
	}
	if applied > len(changes) {
		return fmt.Errorf("version %d, want at most %d: update this program", applied, len(changes))
	}
	for _, change := range changes[applied:] {
		if _, err := tx.ExecContext(ctx, change); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(changes))); err != nil {
		return err
	}
	return tx.Commit()
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Load returns a saved chat and the id of its last message. For a new chat it returns nil
// and "".
func (s *Store) Load(ctx context.Context, name string) (saved []byte, message string, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT saved, message FROM chats WHERE name = ?", name).Scan(&saved, &message)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", nil
	}
	return saved, message, err
}

// Save saves a chat and the id of its last message.
func (s *Store) Save(ctx context.Context, name string, saved []byte, message string) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO chats (name, saved, message, changed) VALUES (?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET saved = excluded.saved, message = excluded.message, changed = excluded.changed`,
		name, saved, message, time.Now().Unix())
	return err
}
