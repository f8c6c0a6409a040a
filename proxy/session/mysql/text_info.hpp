// What a session must know of a statement's text before it forwards it, computed once per distinct
// text, way of reading it (sql_mode, character set) and worker; or each time, where that takes less
// than to find it. What is the same of all texts that differ in their values only is computed once
// for all of them (TextMemo::like).
//
// Most texts are `plain`: one SELECT, INSERT, UPDATE, DELETE … that cannot touch session state,
// told from its first word and the absence of a few suspicious ones. Only the others are analysed.
// A TextMemo belongs to one worker; TextRefs are counted without atomics and must not leave it.
#pragma once

#include <array>
#include <boost/container_hash/hash.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/session/doorkeeper.hpp"
#include "proxy/sql/analysis.hpp"
#include "proxy/sql/mysql_lexer.hpp"
#include "proxy/sql/mysql_shape.hpp"

namespace hyperdrive::proxy::session::mysql {

struct TextInfo {
  std::string text;
  sql::MysqlLexing lexing;
  bool plain = true;       ///< neither session state nor transaction control
  bool read_only = false;  ///< plain, and its first word is SELECT, VALUES, TABLE or SHOW
  bool hidden = false;     ///< may call a stored function, which may leave anything behind
  bool cut = false;        ///< only its beginning is known here: whoever runs it may do anything
  /// Null for plain texts until somebody asks (TextMemo::analysis).
  std::shared_ptr<const sql::Analysis> analysis;
  /// For the gate (gate.hpp): whatever it wants to keep with a text.
  std::shared_ptr<void> gate_data;

 private:
  friend class TextMemo;
  friend void intrusive_ptr_add_ref(TextInfo* info) { ++info->references_; }
  friend void intrusive_ptr_release(TextInfo* info) {
    if (--info->references_ == 0) dismiss(info);
  }
  static void dismiss(TextInfo* info);
  std::uint32_t references_ = 0;
  bool used_ = true;  // since the clock's hand came by
};
using TextRef = boost::intrusive_ptr<TextInfo>;

/// What a text's first word and its other words show.
struct Glance {
  bool plain = false;
  bool read_only = false;
  bool hidden = false;
};
Glance glance(std::string_view text);

/// Definitions alone, of which the analysis says that they call nothing: t ( was a list of columns.
bool only_defines(const sql::Analysis& analysis);
/// SET, also where some of its assignments are for everybody.
bool is_set(const sql::Statement& statement);
/// BEGIN NOT ATOMIC, IF … outside of stored programs; its own OK comes behind its results.
bool is_compound(const sql::Statement& statement);
/// Of all statements: bits of sql::state.
std::uint16_t states_of(const sql::Analysis& analysis);

class TextMemo {
 public:
  explicit TextMemo(std::size_t capacity = 4096) : capacity_(capacity) {}

  TextRef get(std::string_view text, sql::MysqlLexing lexing);
  /// For whoever keeps nothing with a text, the next time it comes: a plain one that calls nothing
  /// unknown is looked at anew, which takes less than to find it.
  TextRef look(std::string_view text, sql::MysqlLexing lexing);
  /// Of a text whose end is not here.
  static TextRef cut(std::string_view beginning, sql::MysqlLexing lexing);
  static const sql::Analysis& analysis(TextInfo& info);
  /// A text that differs from this one in its values only, the same for all of them, if this is a
  /// plain one: its analysis is this one's, and so is what follows from that alone. Else itself.
  TextRef like(TextInfo& info);
  /// Finds the analysis of `info` by its like.
  void analyse(TextInfo& info);

  /// Longer texts are looked at anew each time.
  static constexpr std::size_t kMaxKept = 64 * 1024;
  /// Of all texts together: an analysis takes a multiple of its text.
  static constexpr std::size_t kMaxBytes = 8 << 20;

 private:
  using Index = boost::unordered_flat_map<std::string_view, TextRef>;
  static std::size_t number(sql::MysqlLexing lexing);
  Index& index(sql::MysqlLexing lexing) { return indexes_[number(lexing)]; }
  static TextRef make(std::string_view text, sql::MysqlLexing lexing);
  static TextRef make(std::string_view text, sql::MysqlLexing lexing, const Glance& seen);
  void evict();
  bool is_full_for(std::string_view text) const {
    return ring_.size() >= capacity_ || bytes_ + text.size() > kMaxBytes;
  }

  struct ShapeHash : boost::hash<std::string_view> {
    using is_transparent = void;
  };
  static constexpr std::size_t kMaxShapes = 1024;
  static constexpr std::size_t kMaxShapeBytes = 512 * 1024;

  const std::size_t capacity_;
  std::size_t bytes_ = 0;
  boost::unordered_flat_map<std::string, TextRef, ShapeHash, std::equal_to<>> likes_;  // by shape
  std::size_t like_bytes_ = 0;
  std::string shape_;             // scratch
  std::array<Index, 8> indexes_;  // by lexing
  std::vector<TextInfo*> ring_;
  // Once the memo is full:
  Doorkeeper doorkeeper_;
  TextRef latest_;  // that was not let in: one statement is asked about more than once
  std::size_t hand_ = 0;
};

}  // namespace hyperdrive::proxy::session::mysql
