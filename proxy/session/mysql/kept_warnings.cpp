// Client: the warnings of a statement whose connection has to be reset. They are read before that,
// and told to a SHOW WARNINGS from here.
#include "proxy/session/mysql/client.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
namespace capability = my::capability;

namespace {

bool is_show_warnings(const TextInfo& text) {
  sql::MysqlLexer lexer(text.text, text.lexing);
  const auto is = [](const sql::MysqlToken& token, std::string_view word) {
    return token.text.size() == word.size() && find_word(token.text, word) == 0;
  };
  if (!is(lexer.next(), "show") || !is(lexer.next(), "warnings")) return false;
  sql::MysqlToken rest = lexer.next();
  if (rest.kind == sql::MysqlTokenKind::kSymbol && rest.text == ";") rest = lexer.next();
  return rest.kind == sql::MysqlTokenKind::kEnd && !lexer.was_executable();
}

}  // namespace

/// The session's list is that of the connection in use.
bool Client::has_warnings_there() const {
  return lease_ && last_.has_diagnostics && lease_->diagnostics_of == id_ &&
         lease_->diagnostics_number == last_.diagnostics_of;
}

/// Errors are raised again where they are asked about; a list of warnings cannot be.
bool Client::loses_warnings() const {
  const bool goes = lease_->dirty || lease_->beyond_repair;
  const bool is_kept = last_.warnings && last_.warnings->of == last_.diagnostics_of;
  return goes && !leaving_ && !ended_ && has_warnings_there() && last_.error.code == 0 && !is_kept;
}

void Client::keep_warnings() {
  last_.warnings = std::make_unique<KeptWarnings>();
  last_.warnings->of = last_.diagnostics_of;
  if (block_ == Block::kNone) block(Block::kReply);
  lease_->send(my::Command::kQuery, "SHOW WARNINGS",
               {Reply::kQuery, Purpose::kWarnings, 1, false, nullptr});
}

/// One packet of their list, a column's definition or a row.
void Client::take_warnings(net::Bytes payload, bool is_row) {
  KeptWarnings* kept = last_.warnings.get();
  if (kept == nullptr || kept->bytes > KeptWarnings::kMaxBytes) return;
  std::string told(payload);
  const std::uint64_t agreed = lease_->identity().capabilities;
  if (!is_row && ((agreed & ~capabilities_) & capability::kMariadbExtendedMetadata) != 0) {
    const auto column = my::parse_column_definition(payload, agreed);
    if (!column) return;
    told = my::build_column_definition(*column, agreed & ~capability::kMariadbExtendedMetadata);
  }
  kept->bytes += told.size();
  (is_row ? kept->rows : kept->columns).push_back(std::move(told));
}

void Client::warnings_taken(bool failed) {
  KeptWarnings* kept = last_.warnings.get();
  if (kept == nullptr) return;
  constexpr std::size_t kColumns = 3;
  kept->is_whole =
      !failed && kept->bytes <= KeptWarnings::kMaxBytes && kept->columns.size() == kColumns;
}

/// SHOW WARNINGS, if no connection has what it asks about, and it was kept.
bool Client::tells_warnings(const TextInfo& text) {
  const KeptWarnings* kept = last_.warnings.get();
  const bool knows = kept != nullptr && kept->is_whole && last_.has_diagnostics &&
                     kept->of == last_.diagnostics_of && !has_warnings_there();
  if (!knows || !is_show_warnings(text)) return false;
  std::uint8_t sequence = sequence_;
  const bool no_eof = (capabilities_ & capability::kDeprecateEof) != 0;
  packet_to_client(sequence++, std::string(1, static_cast<char>(kept->columns.size())));
  for (const std::string& column : kept->columns) packet_to_client(sequence++, column);
  if (!no_eof) packet_to_client(sequence++, my::build_eof({0, told_status()}));
  for (const std::string& row : kept->rows) packet_to_client(sequence++, row);
  my::Ok ok;
  ok.status = told_status();
  packet_to_client(sequence, no_eof ? my::build_ok(ok, capabilities_, my::reply::kEof)
                                    : my::build_eof({0, ok.status}));
  worker_.telemetry.add(Counter::kQueries);
  last_.answered_here(-1);
  last_.counted = last_.number;
  last_.read.text = nullptr;
  return true;
}

}  // namespace hyperdrive::proxy::session::mysql
