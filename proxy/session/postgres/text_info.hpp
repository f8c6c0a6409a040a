// What a session must know of a statement's text before it forwards it, computed once per distinct
// text and worker.
//
// Most texts are `plain`: one SELECT, INSERT, UPDATE, DELETE … that cannot touch session state,
// told from its first word and the absence of a few suspicious ones, without parsing. Only the
// others are analysed. A TextMemo belongs to one worker; TextRefs are counted without atomics and
// must not leave it.
#pragma once

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
#include "proxy/session/postgres/statements.hpp"
#include "proxy/sql/analysis.hpp"
#include "proxy/sql/analysis_cache.hpp"

namespace hyperdrive::proxy::session::postgres {

struct TextInfo {
  std::string text;
  bool plain = true;            ///< neither session state nor transaction control
  bool read_only = false;       ///< plain, and its first word is SELECT, VALUES or TABLE
  bool terminates = false;      ///< calls pg_terminate_backend(), by the look of it
  bool asks_sequences = false;  ///< lastval(), currval(): about what this session did before
  bool moves_sequences = true;  ///< may: a write, or nextval()
  /// So many times at most the origin may read COPY data instead of messages.
  std::uint16_t copies = 0;
  /// Null for plain texts until somebody asks (TextMemo::analysis).
  std::shared_ptr<const sql::Analysis> analysis;
  /// Registered statements of this text, by types and fingerprint: a short list.
  std::vector<StatementRef> statements;
  std::uint64_t definitions = 0;  ///< Service::definitions() when they were registered
  /// For the gate (group.hpp): whatever it wants to keep with a text.
  std::shared_ptr<void> gate_data;

 private:
  friend class TextMemo;
  /// Whether anything was attached to it that belongs to its text alone.
  bool has_followers() const { return analysis || gate_data || !statements.empty(); }
  friend void intrusive_ptr_add_ref(TextInfo* info) { ++info->references_; }
  friend void intrusive_ptr_release(TextInfo* info) {
    if (--info->references_ == 0) delete info;
  }
  std::uint32_t references_ = 0;
  bool used_ = true;  // since the clock's hand came by
};
using TextRef = boost::intrusive_ptr<TextInfo>;

class TextMemo {
 public:
  TextMemo(sql::AnalysisCache& analyses, std::size_t capacity = 4096)
      : analyses_(analyses), capacity_(capacity) {}

  /// Of a text that will be asked for again (Parse): kept at once, while there is room.
  TextRef get(std::string_view text) { return get(text, false); }
  /// Of a simple query: kept when it comes for the second time. Texts that bring their own literals
  /// come once, and to keep them only costs memory that is cold.
  TextRef get_once(std::string_view text) { return get(text, true); }
  const sql::Analysis& analysis(TextInfo& info);

  /// Called between groups of messages: memory is not kept for what is very large.
  void forget_large() {
    if (latest_large_ && latest_large_->text.size() > sql::kMaxQueryBytes) latest_large_.reset();
  }

  /// Of longer texts only the latest is remembered.
  static constexpr std::size_t kMaxKept = 64 * 1024;
  /// Of all texts together: an analysis takes a multiple of its text.
  static constexpr std::size_t kMaxBytes = 8 << 20;

 private:
  /// A text with its hash, which is taken once.
  struct Key {
    std::string_view text;
    std::size_t hash;
    bool operator==(const Key& other) const { return hash == other.hash && text == other.text; }
  };
  struct Hash {
    using is_avalanching = void;
    std::size_t operator()(const Key& key) const { return key.hash; }
  };

  TextRef get(std::string_view text, bool may_be_the_only_time);
  TextRef passing(std::string_view text);
  void evict();
  bool is_full_for(std::string_view text) const {
    return ring_.size() >= capacity_ || bytes_ + text.size() > kMaxBytes;
  }
  static Key key_of(std::string_view text) { return {text, std::hash<std::string_view>()(text)}; }
  void look_at(TextInfo& info);
  TextRef made(std::string_view text);

  sql::AnalysisCache& analyses_;
  const std::size_t capacity_;
  std::size_t bytes_ = 0;
  boost::unordered_flat_map<Key, TextRef, Hash> index_;
  std::vector<TextInfo*> ring_;
  Doorkeeper doorkeeper_;
  TextRef latest_large_;
  TextRef latest_;  // that was not let in: one statement is asked about more than once
  std::size_t hand_ = 0;
};

/// Whether the text's first word and its other words show that it is plain.
struct Glance {
  bool plain = false;
  bool read_only = false;
};
Glance glance(std::string_view text);

}  // namespace hyperdrive::proxy::session::postgres
