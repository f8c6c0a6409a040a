// What a session may ask about its statement before (LAST_INSERT_ID, ROW_COUNT, FOUND_ROWS, SHOW
// WARNINGS), kept by the client: that statement may have run on another connection than the one
// that is asked, or on none (the cache answered it).
//
// Statements are numbered. The origin connection that ran the newest one knows all by itself; any
// other is told, as far as possible, by commands of the proxy's own in front of the asking one:
//
//   LAST_INSERT_ID()  SET last_insert_id = n
//   FOUND_ROWS()      the query, once more: only its text tells what would be counted (LIMIT 2, 3
//                     counts five), and what it leaves is what the origin would have left
//   ROW_COUNT()       a statement with that count, if it is -1, 0 or 1
//   SHOW WARNINGS     nothing, a statement that empties the list, or SIGNAL with the error; where a
//                     connection is reset that holds warnings they are kept (kept_warnings.cpp)
//
// What cannot be brought about is error 1235. One per Client, on its thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/session/mysql/session_state.hpp"
#include "proxy/session/mysql/statements.hpp"
#include "proxy/session/mysql/text_info.hpp"

namespace hyperdrive::proxy::session::mysql {

/// The session's last query, as far as it can be asked once more.
struct LastRead {
  TextRef text;  ///< null: unknown
  StateRef state;
  PreparedRef prepared;   ///< null: COM_QUERY
  std::string execution;  ///< COM_STMT_EXECUTE's payload behind the iteration count, with types
};

/// What a failed statement left; it can be raised again where SIGNAL takes its words.
struct LastError {
  std::uint16_t code = 0;  ///< 0: it was no error, or its words are too long
  std::string sqlstate;
  std::string message;
  static constexpr std::size_t kMaxMessage = 128;
};

/// A list of warnings that no connection holds any more: the packets of SHOW WARNINGS, as the
/// client takes them.
struct KeptWarnings {
  std::uint64_t of = 0;  ///< the statement that left it
  bool is_whole = false;
  std::size_t bytes = 0;
  std::vector<std::string> columns, rows;
  static constexpr std::size_t kMaxBytes = 64 * 1024;
};

struct LastStatement {
  std::uint64_t number = 0;  ///< of the newest statement; see Origin::last_statement
  std::uint64_t insert_id = 0;
  /// What LAST_INSERT_ID() was on the connection when it became open there, and somebody else's.
  std::optional<std::uint64_t> foreign_insert_id;
  /// The connection that ran the newest statement that may have used a sequence; 0: none did.
  std::uint32_t drew_on = 0;
  /// The sequence from which the session has surely taken the latest number there, as it was named.
  std::string drawn;
  bool asks_sequences = false;  ///< it has asked for such numbers
  std::uint64_t counted = 0;    ///< the newest that FOUND_ROWS() is of; 0: none yet
  std::int64_t row_count = 0;
  bool has_diagnostics = false;      ///< the session's list holds something …
  std::uint64_t diagnostics_of = 0;  ///< … that this statement left
  LastError error;                   ///< … which is this
  std::unique_ptr<KeptWarnings> warnings;
  LastRead read;
  /// What the newest execution of an INSERT was given; its beginning, if it is long.
  std::string values;

  static constexpr std::size_t kMaxExecution = 16 * 1024;

  /// Answered by the proxy, so that no connection knows of it.
  void answered_here(std::int64_t rows) {
    ++number;
    row_count = rows;
  }
  /// A session that begins anew.
  void forget() {
    const std::uint64_t next = number + 1;
    *this = {};
    number = next;
  }
  /// The newest statement has left an error (code 0: warnings) behind.
  void failed(std::uint16_t code, std::string_view sqlstate, std::string_view message) {
    has_diagnostics = true;
    diagnostics_of = number;
    error = {};
    warnings.reset();
    if (message.size() <= LastError::kMaxMessage)
      error = {code, std::string(sqlstate), std::string(message)};
  }
};

/// Where `word` stands in the text as a whole one, in any case.
std::size_t find_word(std::string_view text, std::string_view word, std::size_t from = 0);
inline bool has_word(std::string_view text, std::string_view word) {
  return find_word(text, word) != text.npos;
}

/// What a text asks about the statement before it.
struct Asks {
  bool insert_id = false;
  bool found_rows = false;
  bool row_count = false;
  bool diagnostics = false;
  bool sequence = false;  ///< its LASTVAL(), PREVIOUS VALUE FOR …
  bool any() const { return insert_id || found_rows || row_count || diagnostics || sequence; }
};
Asks asks_of(const TextInfo& text);

/// LAST_INSERT_ID() may be another behind it, without its reply saying so: LAST_INSERT_ID(n), CALL
/// … Of analysed texts.
bool changes_insert_id(const TextInfo& text);

/// It may take a number from a sequence, which is LASTVAL() there from then on.
bool may_draw(TextInfo& text);

/// The sequences that a text takes numbers from (NEXTVAL(s), NEXT VALUE FOR s, s.nextval), or asks
/// about (LASTVAL(s), PREVIOUS VALUE FOR s, s.currval), each as it is named.
std::vector<std::string> drawn_sequences(const TextInfo& text);
std::vector<std::string> asked_sequences(const TextInfo& text);

/// … if that does not depend on rows or conditions: the one of the latest number; else empty.
std::string surely_drawn(TextInfo& text);

/// What a text that has run has done to FOUND_ROWS().
enum class Counting : std::uint8_t { kCounts, kLeaves, kUnsure };
Counting counting_of(TextInfo& text, bool is_mariadb);
/// Of most texts, at a glance: a plain SELECT.
inline bool surely_counts(const TextInfo& text) {
  if (!text.read_only) return false;
  const std::size_t at = text.text.find_first_not_of(" \t\r\n(");
  return at != text.text.npos && (text.text[at] | 0x20) == 's';
}

/// It empties the list of warnings when nothing is wrong with it. MariaDB keeps the list through
/// statements without tables, MySQL does not.
bool empties_diagnostics(TextInfo& text, bool is_mariadb);

}  // namespace hyperdrive::proxy::session::mysql
