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
  /// gb18030): a text with a non-ASCII byte is then not understood.
  bool unsafe_charset = false;
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
};

struct MysqlToken {
  MysqlTokenKind kind = MysqlTokenKind::kEnd;
  std::string_view text;
};

/// Walks over one text, comments and blanks left out. What stands in an executable comment
/// (/*! … */, /*M! … */) comes out as if it were code; was_executable() tells that there was one.
class MysqlLexer {
 public:
  MysqlLexer(std::string_view text, MysqlLexing lexing) : text_(text), lexing_(lexing) {}

  MysqlToken next();
  bool was_executable() const { return was_executable_; }
  std::size_t position() const { return position_; }

 private:
  bool skip_blank();
  bool skip_comment();
  MysqlToken take(MysqlTokenKind kind, std::size_t end);
  MysqlToken quoted(std::size_t begin, char quote, bool escapes, MysqlTokenKind kind);
  MysqlToken variable();
  char at(std::size_t index) const { return index < text_.size() ? text_[index] : '\0'; }

  std::string_view text_;
  MysqlLexing lexing_;
  std::size_t position_ = 0;
  bool in_executable_ = false;
  bool was_executable_ = false;
};

/// The name a token stands for: quotes taken off, doubled ones halved. Case is kept.
std::string mysql_name(const MysqlToken& token);

}  // namespace hyperdrive::proxy::sql
