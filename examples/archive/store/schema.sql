-- Instants are milliseconds since 1970 in UTC; 0 means unknown. Columns named raw hold JSON as the service sent it.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- A pass reads a list from the top down to floor. A cursor that is not NULL means that the pass is not finished.
CREATE TABLE passes (
	name      TEXT PRIMARY KEY,
	watermark INTEGER NOT NULL DEFAULT 0, -- everything that changed before is in the archive
	floor     INTEGER NOT NULL DEFAULT 0,
	high      INTEGER NOT NULL DEFAULT 0, -- the top of the first page; becomes the watermark
	cursor    TEXT
) WITHOUT ROWID;

CREATE TABLE runs (
	id       INTEGER PRIMARY KEY,
	command  TEXT NOT NULL,
	begun_at INTEGER NOT NULL,
	ended_at INTEGER NOT NULL DEFAULT 0, -- 0: the run is in progress, or was killed
	calls    INTEGER NOT NULL DEFAULT 0,
	status   INTEGER NOT NULL DEFAULT 0, -- the exit status
	summary  TEXT NOT NULL DEFAULT ''
);

CREATE TABLE usage (month TEXT PRIMARY KEY, calls INTEGER NOT NULL) WITHOUT ROWID;

-- There is no queue. The messages of a conversation are due if messages_at < updated_at; the details likewise.
CREATE TABLE conversations (
	id              INTEGER PRIMARY KEY,
	status          TEXT    NOT NULL DEFAULT '',
	contact_id      INTEGER NOT NULL DEFAULT 0,
	inbox_id        INTEGER NOT NULL DEFAULT 0,
	created_at      INTEGER NOT NULL DEFAULT 0,
	updated_at      INTEGER NOT NULL DEFAULT 0,
	messages_at     INTEGER NOT NULL DEFAULT -1,
	details_at      INTEGER NOT NULL DEFAULT -1,
	messages_cursor TEXT    NOT NULL DEFAULT '', -- of the next page of messages
	messages_target INTEGER NOT NULL DEFAULT -1, -- updated_at when the first page was read
	has_files       INTEGER NOT NULL DEFAULT 0,
	failures        INTEGER NOT NULL DEFAULT 0,
	gone_at         INTEGER NOT NULL DEFAULT 0,  -- when the service answered that it does not exist
	raw             TEXT    NOT NULL,
	raw_crc         INTEGER NOT NULL DEFAULT 0,  -- CRC-32C of raw as it was received, signed
	details         TEXT,
	details_crc     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX conversations_newest ON conversations (updated_at DESC, id DESC);
CREATE INDEX conversations_contact ON conversations (contact_id, updated_at DESC);
CREATE INDEX conversations_messages_due ON conversations (updated_at DESC) WHERE messages_at < updated_at;
CREATE INDEX conversations_details_due ON conversations (updated_at DESC) WHERE details_at < updated_at;
CREATE INDEX conversations_files ON conversations (updated_at DESC, id DESC) WHERE has_files;

CREATE INDEX conversations_status ON conversations (status, updated_at DESC, id DESC);

-- The tags in the details.
CREATE TABLE conversation_tags (
	tag             TEXT    NOT NULL COLLATE NOCASE,
	conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
	PRIMARY KEY (tag, conversation_id)
) WITHOUT ROWID;
CREATE INDEX conversation_tags_conversation ON conversation_tags (conversation_id);
CREATE TRIGGER conversations_tags AFTER UPDATE OF details ON conversations BEGIN
	DELETE FROM conversation_tags WHERE conversation_id = new.id;
	INSERT OR IGNORE INTO conversation_tags (tag, conversation_id)
		SELECT iif(type = 'object', value ->> 'name', value), new.id
		FROM json_each(iif(json_valid(new.details), new.details, '{}'), '$.conversationTags')
		WHERE type = 'text' OR type = 'object' AND value ->> 'name' <> '';
END;

CREATE TABLE messages (
	seq             INTEGER PRIMARY KEY, -- the newest has the lowest: see firstSeq
	id              INTEGER NOT NULL,
	conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
	type            TEXT    NOT NULL DEFAULT '',
	author_type     TEXT    NOT NULL DEFAULT '',
	author_id       INTEGER NOT NULL DEFAULT 0,
	bot             INTEGER NOT NULL DEFAULT 0,
	created_at      INTEGER NOT NULL DEFAULT 0,
	raw             TEXT    NOT NULL,
	raw_crc         INTEGER NOT NULL DEFAULT 0,
	text_at         INTEGER NOT NULL DEFAULT 0, -- where raw has the text as it is, counted from 1; 0: see words
	text_length     INTEGER NOT NULL DEFAULT 0,
	words           TEXT    NOT NULL DEFAULT '', -- the text, if raw does not have it as it is
	text            TEXT    NOT NULL AS (iif(text_at > 0, substr(raw, text_at, text_length), words)), -- without HTML
	UNIQUE (conversation_id DESC, id DESC) -- in the order of archive sync, so that the pages of the index are full
);
CREATE INDEX messages_agent ON messages (author_id, conversation_id) WHERE author_type = 'user';

CREATE VIRTUAL TABLE search USING fts5 (
	text, content = 'messages', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2', columnsize = 0
);
CREATE TRIGGER messages_insert AFTER INSERT ON messages BEGIN
	INSERT INTO search (rowid, text) VALUES (new.seq, new.text);
END;
CREATE TRIGGER messages_delete AFTER DELETE ON messages BEGIN
	INSERT INTO search (search, rowid, text) VALUES ('delete', old.seq, old.text);
END;
CREATE TRIGGER messages_update AFTER UPDATE ON messages WHEN old.text <> new.text BEGIN
	INSERT INTO search (search, rowid, text) VALUES ('delete', old.seq, old.text);
	INSERT INTO search (rowid, text) VALUES (new.seq, new.text);
END;

-- A contact is due if fetched_at < seen_at.
CREATE TABLE contacts (
	id         INTEGER PRIMARY KEY,
	email      TEXT    NOT NULL DEFAULT '',
	name       TEXT    NOT NULL DEFAULT '',
	created_at INTEGER NOT NULL DEFAULT 0,
	seen_at    INTEGER NOT NULL DEFAULT 0, -- the last change of one of the contact's conversations
	fetched_at INTEGER NOT NULL DEFAULT -1,
	failures   INTEGER NOT NULL DEFAULT 0,
	gone_at    INTEGER NOT NULL DEFAULT 0,
	raw        TEXT,                       -- NULL: not fetched yet
	raw_crc    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX contacts_due ON contacts (seen_at DESC) WHERE fetched_at < seen_at;
CREATE INDEX contacts_email ON contacts (email COLLATE NOCASE);

-- A stored file is attachments/ab/<sha256>, where ab are the first two digits.
CREATE TABLE attachments (
	id        INTEGER PRIMARY KEY,
	name      TEXT    NOT NULL DEFAULT '',
	mime_type TEXT    NOT NULL DEFAULT '',
	sha256    TEXT    NOT NULL DEFAULT '',
	size      INTEGER NOT NULL DEFAULT 0,
	state     TEXT    NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'stored', 'gone')),
	failures  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX attachments_due ON attachments (id) WHERE state = 'due';
CREATE INDEX attachments_sha256 ON attachments (sha256) WHERE sha256 <> '';
CREATE TABLE message_attachments (
	seq           INTEGER NOT NULL REFERENCES messages (seq) ON DELETE CASCADE,
	attachment_id INTEGER NOT NULL REFERENCES attachments (id),
	PRIMARY KEY (seq, attachment_id)
) WITHOUT ROWID;
CREATE INDEX message_attachments_file ON message_attachments (attachment_id);

-- Everything without a table of its own.
CREATE TABLE records (
	kind       TEXT    NOT NULL,
	id         TEXT    NOT NULL,
	fetched_at INTEGER NOT NULL DEFAULT 0,
	raw        TEXT    NOT NULL,
	raw_crc    INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (kind, id)
);
CREATE VIEW users AS
	SELECT CAST(id AS INTEGER) AS id, raw ->> 'name' AS name, raw ->> 'email' AS email, raw ->> 'role' AS role, raw
	FROM records WHERE kind = 'user';
CREATE VIEW teams AS
	SELECT CAST(id AS INTEGER) AS id, raw ->> 'name' AS name, raw FROM records WHERE kind = 'team';
CREATE VIEW accounts AS
	SELECT id, raw ->> 'name' AS name, raw ->> 'domain' AS domain, raw FROM records WHERE kind = 'account';
CREATE VIEW meetings AS
	SELECT id, raw ->> 'status' AS status, raw ->> 'slotStart' AS slot_start, raw ->> 'schedulerId' AS contact_id,
		raw ->> 'agentId' AS agent_id, raw ->> 'conversationId' AS conversation_id, raw
	FROM records WHERE kind = 'meeting';
CREATE VIEW playbooks AS
	SELECT CAST(id AS INTEGER) AS id, raw ->> 'name' AS name, raw FROM records WHERE kind = 'playbook';
CREATE VIEW landing_pages AS
	SELECT id, raw ->> 'playbookName' AS name, raw ->> 'landingPageUrl' AS url, raw
	FROM records WHERE kind = 'landing_page';
CREATE VIEW contact_attributes AS
	SELECT id AS name, raw ->> 'type' AS type, raw ->> 'displayName' AS display_name, raw
	FROM records WHERE kind = 'contact_attribute';

-- What the service sent and this program cannot read completely, and what it could not get.
CREATE TABLE oddities (
	id         INTEGER PRIMARY KEY,
	operation  TEXT    NOT NULL, -- such as classic.messages.list
	subject    TEXT    NOT NULL, -- such as "conversation 42"
	error      TEXT    NOT NULL,
	raw        TEXT    NOT NULL DEFAULT '',
	hash       TEXT    NOT NULL, -- of raw
	contact_id INTEGER NOT NULL DEFAULT 0,
	seen_at    INTEGER NOT NULL,
	UNIQUE (operation, subject, error, hash)
);

-- The contacts, addresses and conversations that must not come back, as HMAC-SHA256 under a random key in meta. Of a
-- conversation, the status is kept.
CREATE TABLE forgotten (
	hmac   TEXT PRIMARY KEY,
	kind   TEXT NOT NULL, -- contact, address or conversation
	status TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
