"""The SQL of `tables`."""

NAMES = "SELECT name FROM indexes WHERE tenant = ?"
INDEX = """
    SELECT i.id, i.tenant, i.spec, i.space, s.fingerprint, coalesce(s.dimensions, 0),
        i.last_change, i.saved_change, e.model, m.space
    FROM indexes i LEFT JOIN spaces s ON s.id = i.space LEFT JOIN embedders e ON e.space = i.space
        LEFT JOIN moves m ON m.index_id = i.id"""
INFOS = """
    SELECT i.spec, count(d.key), sum(d.passages), s.fingerprint
    FROM indexes i LEFT JOIN documents d ON d.index_id = i.id LEFT JOIN spaces s ON s.id = i.space
    WHERE i.tenant = ? AND (? IS NULL OR i.name = ?) GROUP BY i.id ORDER BY i.name"""
ADD_SPACE = """
    INSERT INTO spaces (tenant, fingerprint, dimensions)
    SELECT tenant, ?, ? FROM indexes WHERE id = ? ON CONFLICT DO NOTHING"""
SPACE = """
    SELECT s.id FROM spaces s JOIN indexes i ON i.tenant = s.tenant
    WHERE s.fingerprint = ? AND i.id = ?"""
FORGET_SPACES = """
    DELETE FROM spaces WHERE NOT EXISTS (SELECT 1 FROM indexes i WHERE i.space = spaces.id)
        AND NOT EXISTS (SELECT 1 FROM moves m WHERE m.space = spaces.id)"""
FORGET_VECTORS = """
    DELETE FROM vectors WHERE NOT EXISTS (
        SELECT 1 FROM passages p JOIN indexes i ON i.id = p.index_id
            LEFT JOIN moves m ON m.index_id = i.id
        WHERE p.hash = vectors.hash AND vectors.space IN (i.space, m.space))"""
FORGET_VECTOR = """
    DELETE FROM vectors WHERE space IN (SELECT ?1 UNION SELECT space FROM moves) AND hash = ?2
        AND NOT EXISTS (
            SELECT 1 FROM passages p JOIN indexes i ON i.id = p.index_id
                LEFT JOIN moves m ON m.index_id = i.id
            WHERE p.hash = vectors.hash AND vectors.space IN (i.space, m.space))"""
EMBEDDER = "INSERT OR REPLACE INTO embedders SELECT id, ? FROM spaces WHERE id = ?"

_STATE = "id, bytes_hash, size_bytes, mtime_ns, recipe FROM documents"
FILE_STATES = f"SELECT source, {_STATE} WHERE index_id = ? AND origin = ?"
FILE_STATE = f"SELECT {_STATE} WHERE index_id = ? AND id = ?"
SET_MTIME = "UPDATE documents SET mtime_ns = ? WHERE index_id = ? AND id = ?"
KEY = "SELECT key FROM documents WHERE index_id = ? AND id = ?"
ADD_DOCUMENT = """
    INSERT INTO documents (index_id, id, origin, source, title, media_type, hash, bytes_hash,
        size_bytes, mtime_ns, recipe, metadata, passages, updated_at, text)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_DOCUMENT = """
    SELECT id, source, title, media_type, hash, bytes_hash, size_bytes, passages, updated_at,
        metadata"""
DOCUMENTS = f"{_DOCUMENT} FROM documents WHERE index_id = ?"
DOCUMENTS_WHERE = f"{_DOCUMENT} FROM documents d WHERE d.index_id = ?1 AND {{}}"
SOME_DOCUMENTS = f"{DOCUMENTS} AND id IN (SELECT value FROM json_each(?))"
DOCUMENT = f"{_DOCUMENT}, text FROM documents WHERE index_id = ? AND id = ?"
DOCUMENT_IDS = "SELECT id FROM documents WHERE index_id = ? LIMIT 1000"

NEXT_CHANGES = "UPDATE indexes SET last_change = last_change + ? WHERE id = ? RETURNING last_change"
ADD_PASSAGE = """
    INSERT INTO passages (index_id, number, document, ordinal, start, stop, page, heading, hash,
        text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
INCOMPLETE = """
    SELECT 1 FROM passages p JOIN indexes i ON i.id = p.index_id
        LEFT JOIN vectors v ON v.space = i.space AND v.hash = p.hash
    WHERE p.document = ? AND v.hash IS NULL
        AND NOT EXISTS (SELECT 1 FROM moves m WHERE m.index_id = i.id) LIMIT 1"""
PASSAGES_OF = "SELECT number, hash FROM passages WHERE document = ?"
NUMBERS = """
    SELECT p.number FROM documents d JOIN passages p ON p.document = d.key
    WHERE d.index_id = ?1 AND {}"""
KNOWN_DOCUMENTS = """
    SELECT id FROM documents WHERE index_id = ? AND id IN (SELECT value FROM json_each(?))"""
VECTORS_OF = """
    SELECT v.vector FROM documents d JOIN indexes i ON i.id = d.index_id
        JOIN passages p ON p.document = d.key
        JOIN vectors v ON v.space = i.space AND v.hash = p.hash
    WHERE d.index_id = ? AND d.id = ?"""
HEADING_AT = """
    SELECT p.heading FROM passages p JOIN documents d ON d.key = p.document
    WHERE d.index_id = ? AND d.id = ? AND p.start <= ? ORDER BY p.ordinal DESC LIMIT 1"""
_PASSAGE = """
    SELECT p.number, p.ordinal, p.hash, d.id, d.title, d.source, p.heading, p.text, p.start,
        p.stop, p.page, d.hash
    FROM passages p JOIN documents d ON d.key = p.document"""
PASSAGES = f"""{_PASSAGE}
    WHERE p.index_id = ? AND p.number IN (SELECT value FROM json_each(?))"""
PASSAGES_AROUND = f"""{_PASSAGE}
    WHERE d.index_id = ? AND d.id = ? AND p.ordinal BETWEEN ? AND ? ORDER BY p.ordinal"""
EXCERPTS = """
    SELECT p.number, v.excerpts
    FROM passages p JOIN vectors v ON v.space = ? AND v.hash = p.hash
    WHERE p.index_id = ? AND p.number IN (SELECT value FROM json_each(?))"""
WITHOUT_VECTOR = """
    SELECT DISTINCT p.text FROM passages p LEFT JOIN vectors v ON v.space = ? AND v.hash = p.hash
    WHERE p.index_id = ? AND v.hash IS NULL LIMIT ?"""
ADDED = """
    SELECT number, text FROM passages WHERE index_id = ? AND number > ? ORDER BY number LIMIT ?"""
VECTORS_BETWEEN = """
    SELECT p.number, p.document, coalesce(v.vector, zeroblob(4 * s.dimensions))
    FROM passages p JOIN spaces s ON s.id = ?
        LEFT JOIN vectors v ON v.space = s.id AND v.hash = p.hash
    WHERE p.index_id = ? AND p.number BETWEEN ? AND ? ORDER BY p.number"""
REMOVED = """
    SELECT number, passage FROM removals
    WHERE index_id = ? AND number > ? ORDER BY number LIMIT ?"""
UNREMOVED = """
    SELECT id FROM indexes i
    WHERE NOT EXISTS (SELECT 1 FROM removals r WHERE r.index_id = i.id)"""
