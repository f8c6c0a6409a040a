// The lexical rules of MySQL and MariaDB
// (https://dev.mysql.com/doc/refman/8.4/en/language-structure.html). Never fails: any bytes make
// some tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hyperdrive::proxy::sql {

/// How sql_mode makes the server read a text.
struct MysqlLexing {
  bool ansi_quotes = false;  ///< "x" is a name
  bool no_backslash_escapes = false;
  /// character_set_client is one whose characters may hold ASCII bytes (sjis, cp932, gbk, big5,
  /// gb18030) or blanks that are not ASCII (latin1's no-break space): a text with a non-ASCII byte
  /// is then not understood.
  bool unsafe_charset = false;
};

/// Whose version decides which executable comments are code.
struct MysqlServer {
  bool is_mariadb = false;
  unsigned version = 0;  ///< 101119 is 10.11.19; 0: not known, so all of them may be code
};

enum class MysqlTokenKind : std::uint8_t {
  kEnd,
  kWord,
  kQuotedName,
  kString,
  kNumber,
  kParameter,       ///< ?
  kUserVariable,    ///< @x
  kSystemVariable,  ///< @@x
  kSymbol,          ///< one byte, or := as two
  kUnterminated,
  kUnknown,  ///< bytes of which the server makes something else
};

struct MysqlToken {
  MysqlTokenKind kind = MysqlTokenKind::kEnd;
  std::string_view text;
  bool spaced = false;  ///< a blank or comment stands before it
};

/// What MysqlLexer::pass_values has passed over: how many parentheses it closed of those before,
/// and opened for those behind.
struct MysqlPassed {
  std::size_t closed = 0, opened = 0;
  bool anything = false;
};

/// Walks over one text, comments and blanks left out. What stands in an executable comment
/// (/*! … */, /*M! … */) comes out as if it were code, unless the server's version is given and not
/// the comment's; was_executable() tells that there was one.
class MysqlLexer {
 public:
  MysqlLexer(std::string_view text, MysqlLexing lexing, MysqlServer server = {})
      : text_(text), lexing_(lexing), server_(server) {}

  MysqlToken next();
  /// Passes over a long list of plain values (numbers, strings, parameters, NULL, DEFAULT, TRUE and
  /// FALSE between commas and parentheses), but for its last few tokens; over nothing if there is
  /// none here. Several times as fast as reading its tokens.
  MysqlPassed pass_values();
  /// Of the whole text read so far. What stands in such a comment may or may not be code.
  bool was_executable() const { return was_executable_; }
  /// … and which of both depends on the server: not of one for any version, or for one so old that
  /// all servers are younger.
  bool was_doubtful() const { return was_doubtful_; }
  std::size_t position() const { return position_; }
  /// Of what comes.
  void read_as(MysqlLexing lexing) { lexing_ = lexing; }

 private:
  std::size_t value_end(std::size_t begin) const;
  bool skip_blank();
  bool skip_comment();
  void begin_executable();
  MysqlToken take(MysqlTokenKind kind, std::size_t end);
  MysqlToken quoted(std::size_t begin, char quote, bool escapes, MysqlTokenKind kind);
  MysqlToken variable();
  MysqlToken plain();
  MysqlToken number_or_name();
  char at(std::size_t index) const { return index < text_.size() ? text_[index] : '\0'; }

  std::string_view text_;
  MysqlLexing lexing_;
  MysqlServer server_;
  std::size_t position_ = 0;
  std::size_t values_end_ = 0;  ///< where pass_values() came to
  bool after_name_ = false;     ///< the token before is a name, and nothing stands between
  bool after_dot_ = false;      ///< the token before is the point of a qualified name, likewise
  bool in_executable_ = false;
  bool was_executable_ = false;
  bool was_doubtful_ = false;
};

/// The name a token stands for: quotes taken off, doubled ones halved. Case is kept.
std::string mysql_name(const MysqlToken& token);

}  // namespace hyperdrive::proxy::sql
