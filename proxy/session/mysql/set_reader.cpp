#include "proxy/session/mysql/set_reader.hpp"

#include <algorithm>
#include <array>

namespace hyperdrive::proxy::session::mysql {
namespace {

using sql::MysqlToken;
using sql::MysqlTokenKind;
using Kind = Assignment::Kind;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

/// Variables that act on the next statement, or that say something of the past one.
bool acts_once(std::string_view name) {
  constexpr std::array<std::string_view, 9> kNames = {
      "insert_id", "last_insert_id",    "identity",         "rand_seed1", "rand_seed2",
      "gtid_next", "pseudo_slave_mode", "pseudo_thread_id", "gtid_seq_no"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

/// Of its statements, and shows them to whoever asks; a reset does not make it forget.
bool remembers_statements(std::string_view name) {
  return name == "profiling" || name == "optimizer_trace";
}

/// MySQL 8 has one of two names, MariaDB up to 11.0 the other; see difference().
std::string canonical(std::string name) {
  if (name == "transaction_isolation") return "tx_isolation";
  if (name == "transaction_read_only") return "tx_read_only";
  return name;
}

class Reader {
 public:
  Reader(std::string_view text, sql::MysqlLexing lexing, sql::MysqlServer server) {
    sql::MysqlLexer lexer(text, lexing, server);
    for (MysqlToken token = lexer.next(); token.kind != MysqlTokenKind::kEnd;
         token = lexer.next()) {
      if (token.kind == MysqlTokenKind::kSymbol && token.text == ";") break;
      tokens_.push_back(token);
    }
  }

  std::vector<Assignment> run() {
    at_ = word(0) == "set" ? 1 : 0;
    if (word(at_) == "statement") {
      out_.push_back({Kind::kTransient, {}, {}, false, false});
      for (; at_ < tokens_.size() && word(at_) != "for"; ++at_) {
        if (remembers_statements(word(at_))) out_.back().kind = Kind::kUnknown;
      }
      return std::move(out_);
    }
    if (is_transaction()) {
      transaction();
      return std::move(out_);
    }
    while (at_ < tokens_.size()) assignment();
    return std::move(out_);
  }

 private:
  std::string word(std::size_t index) const {
    if (index >= tokens_.size() || tokens_[index].kind != MysqlTokenKind::kWord) return {};
    return lower(tokens_[index].text);
  }
  bool symbol(std::size_t index, std::string_view text) const {
    return index < tokens_.size() && tokens_[index].kind == MysqlTokenKind::kSymbol &&
           tokens_[index].text == text;
  }

  bool is_transaction() const {
    return word(at_) == "transaction" || (word(at_ + 1) == "transaction" && !symbol(at_ + 1, "="));
  }

  /// [SESSION | GLOBAL] TRANSACTION ISOLATION LEVEL x, READ ONLY
  void transaction() {
    Kind kind = Kind::kOneShot;
    if (word(at_) == "session" || word(at_) == "local") kind = Kind::kVariable;
    if (word(at_) == "global") kind = Kind::kGlobal;
    for (; at_ < tokens_.size(); ++at_) {
      if (word(at_) == "level") {
        std::string value = word(at_ + 1);
        if (value == "read" || value == "repeatable") value += "-" + word(at_ + 2);
        out_.push_back({kind, "tx_isolation", "'" + value + "'", false, true});
      } else if (word(at_) == "only" || word(at_) == "write") {
        out_.push_back({kind, "tx_read_only", word(at_) == "only" ? "1" : "0", false, true});
      }
    }
  }

  void assignment() {
    const std::string first = word(at_);
    if (first == "names") return names();
    const bool spelled_out = (first == "character" || first == "char") && word(at_ + 1) == "set";
    if (first == "charset" || spelled_out) {
      at_ += first == "charset" ? 1 : 2;
      const std::string value = charset_name(at_++);
      out_.push_back({Kind::kVariable, "character_set", value, value == "default", true});
      return skip_comma();
    }
    // SESSION AUTHORIZATION, of MariaDB 12, makes another user of the session.
    if (first == "password" || first == "role" || first == "default" || first == "resource" ||
        word(at_ + 1) == "authorization") {
      out_.push_back({Kind::kUnknown, first, {}, false, false});
      at_ = tokens_.size();
      return;
    }
    variable();
  }

  /// NAMES x [COLLATE y]
  void names() {
    std::string value = charset_name(++at_);
    ++at_;
    const bool is_default = value == "default";
    if (word(at_) == "collate") {
      value += " COLLATE " + charset_name(at_ + 1);
      at_ += 2;
    }
    out_.push_back({Kind::kVariable, "names", value, is_default, true});
    skip_comma();
  }

  /// Letters, digits and underscores, so that it needs no quotes.
  std::string charset_name(std::size_t index) const {
    if (index >= tokens_.size()) return {};
    std::string_view text = tokens_[index].text;
    if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"' || text.front() == '`')) {
      text = text.substr(1, text.size() - 2);
    }
    std::string out = lower(text);
    std::erase_if(
        out, [](char c) { return !(std::isalnum(static_cast<unsigned char>(c)) || c == '_'); });
    return out;
  }

  void skip_comma() {
    while (at_ < tokens_.size() && !symbol(at_, ",")) ++at_;
    ++at_;
  }

  void variable() {
    Assignment found;
    const std::string scope = word(at_);
    // It holds for what follows, too.
    if (scope == "global" || scope == "persist" || scope == "persist_only") {
      scope_ = Kind::kGlobal;
      ++at_;
    } else if ((scope == "session" || scope == "local") && !symbol(at_ + 1, "=")) {
      scope_ = Kind::kVariable;
      ++at_;
    }
    found.kind = scope_;
    if (at_ >= tokens_.size()) return;
    name(found);
    ++at_;
    if (symbol(at_, "=") || symbol(at_, ":=")) ++at_;
    const std::size_t begin = at_;
    for (int depth = 0; at_ < tokens_.size(); ++at_) {
      if (symbol(at_, "(")) ++depth;
      if (symbol(at_, ")")) --depth;
      if (depth == 0 && symbol(at_, ",")) break;
    }
    value(found, begin, at_);
    // It is what tells of changes that no text shows.
    const bool goes_dark = found.name == "session_track_state_change" &&
                           lower(found.value) != "on" && found.value != "1";
    if (goes_dark || remembers_statements(found.name)) found.kind = Kind::kUnknown;
    ++at_;
    out_.push_back(std::move(found));
  }

  void name(Assignment& found) const {
    const MysqlToken& token = tokens_[at_];
    if (token.kind == MysqlTokenKind::kUserVariable) {
      found.kind = Kind::kUser;
      found.name = lower(token.text);
      return;
    }
    const bool is_marked = token.kind == MysqlTokenKind::kSystemVariable;
    std::string name = lower(is_marked ? token.text.substr(2) : token.text);
    std::erase(name, '`');
    if (is_marked) found.kind = Kind::kVariable;
    const bool has_scope = name.find('.') != std::string::npos;
    for (const std::string_view scope : {"global.", "persist.", "persist_only."}) {
      if (name.starts_with(scope)) found.kind = Kind::kGlobal;
    }
    if (const std::size_t dot = name.find('.'); dot != std::string::npos) name.erase(0, dot + 1);
    found.name = canonical(std::move(name));
    if (symbol(at_ + 1, ".")) found.kind = Kind::kUnknown;
    // @@tx_isolation without a scope is the next transaction's.
    const bool of_next =
        is_marked && !has_scope && (found.name == "tx_isolation" || found.name == "tx_read_only");
    if (found.kind == Kind::kVariable && (of_next || acts_once(found.name))) {
      found.kind = Kind::kOneShot;
    }
  }

  void value(Assignment& found, std::size_t begin, std::size_t end) const {
    if (word(begin) == "default" && end - begin == 1) {
      found.is_default = found.is_constant = true;
      return;
    }
    std::string sign;
    if (end - begin == 2 && symbol(begin, "-")) {
      sign = "-";
      ++begin;
    }
    if (end - begin != 1) return;
    const MysqlToken& token = tokens_[begin];
    switch (token.kind) {
      case MysqlTokenKind::kWord:
      case MysqlTokenKind::kNumber:
        found.value = sign + std::string(token.text);
        break;
      case MysqlTokenKind::kString:
      case MysqlTokenKind::kQuotedName: {
        const std::string_view text = token.text;
        if (text.size() < 2 || (text.front() != '\'' && text.front() != '"')) return;
        found.value = quoted_value(text.substr(1, text.size() - 2));
        if (found.value.empty()) return;
        if (found.value.front() != '\'') found.value = "'" + found.value + "'";
        break;
      }
      case MysqlTokenKind::kUserVariable:
        found.copied = lower(token.text);
        return;
      case MysqlTokenKind::kSystemVariable:
        found.is_system = true;
        return;
      default:
        return;
    }
    // A number's bits stand for words by which texts are read: the server spells them.
    const bool is_number = found.value.find_first_of("0123456789") != std::string::npos;
    found.is_constant = found.name != "sql_mode" || !is_number;
  }

  std::vector<MysqlToken> tokens_;
  std::vector<Assignment> out_;
  std::size_t at_ = 0;
  Kind scope_ = Kind::kVariable;  // of names without one
};

}  // namespace

std::vector<std::string> copied_from_before(const std::vector<Assignment>& assignments) {
  std::vector<std::string_view> set_here;
  std::vector<std::string> copied;
  for (const Assignment& assignment : assignments) {
    if (assignment.kind == Assignment::Kind::kUser) {
      set_here.push_back(assignment.name);
    } else if (!assignment.copied.empty() &&
               std::find(set_here.begin(), set_here.end(), assignment.copied) == set_here.end()) {
      copied.push_back(assignment.copied);
    }
  }
  return copied;
}

bool KeptVariables::may_keep(std::string_view name) {
  constexpr std::size_t kLongest = 64;
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$';
  };
  return name.size() > 1 && name.size() <= kLongest &&
         std::all_of(name.begin() + 1, name.end(), is_plain);
}

bool KeptVariables::knows(std::string_view name) const {
  return std::any_of(variables_.begin(), variables_.end(),
                     [name](const Variable& one) { return one.name == name; });
}

void KeptVariables::keep(const std::string& name, std::string value) {
  constexpr std::size_t kMost = 64, kLongest = 2048;
  forget(name);
  if (value.empty() || value.size() > kLongest || variables_.size() >= kMost) return;
  variables_.push_back({name, std::move(value)});
}

void KeptVariables::forget(std::string_view name) {
  std::erase_if(variables_, [name](const Variable& one) { return one.name == name; });
}

std::string KeptVariables::statement() const {
  std::string sql;
  for (const Variable& one : variables_) {
    sql += (sql.empty() ? "SET " : ", ") + one.name + " = " + one.value;
  }
  return sql;
}

std::string quoted_value(std::string_view raw) {
  if (!raw.empty() && raw.size() < 20 && raw.find_first_not_of("0123456789") == raw.npos) {
    return std::string(raw);
  }
  if (raw.find_first_of("'\"\\") != raw.npos) return {};
  return "'" + std::string(raw) + "'";
}

std::vector<Assignment> read_set(std::string_view text, sql::MysqlLexing lexing,
                                 sql::MysqlServer server) {
  return Reader(text, lexing, server).run();
}

}  // namespace hyperdrive::proxy::session::mysql
