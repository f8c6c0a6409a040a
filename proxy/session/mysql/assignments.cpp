// Client: what SET has changed: what of it is known, and what has to be asked for.
#include <algorithm>
#include <charconv>
#include <utility>

#include "proxy/session/mysql/client.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;

void Client::apply_assignments(const std::vector<Assignment>& assignments, bool knows_values) {
  using Kind = Assignment::Kind;
  const bool for_all = std::any_of(assignments.begin(), assignments.end(),
                                   [](const auto& one) { return one.kind == Kind::kGlobal; });
  if (for_all) worker_.service.renew_connections();
  for (const Assignment& assignment : assignments) {
    switch (assignment.kind) {
      case Kind::kGlobal:
      case Kind::kTransient:
        break;
      case Kind::kUser:
        pin(Feature::kUserVariable);
        kept_.forget(assignment.name);
        if (assignment.is_system && pins_ == 0 && KeptVariables::may_keep(assignment.name)) {
          ask_for(assignment.name);
        }
        break;
      case Kind::kOneShot:
        if (assignment.name == "last_insert_id" || assignment.name == "identity") {
          lease_->insert_id.reset();
          last_.foreign_insert_id.reset();
          insert_id_open_ = true;
          break;
        }
        if (assignment.name == "insert_id") {
          ask_for(assignment.name);
          break;
        }
        if (assignment.name.starts_with("rand_seed")) {
          pin(Feature::kUnknown);
          one_shot_ |= kSeedShot;
          break;
        }
        one_shot_ |= kTransactionShot;
        break;
      case Kind::kUnknown:
        pin(Feature::kUnknown);
        lease_->beyond_repair = true;
        break;
      case Kind::kVariable:
        if (assignment.name == "autocommit") {
          const bool on = lease_->autocommit();
          set_state(on == lease_->identity().autocommit
                        ? without(state_, "autocommit")
                        : with(state_, {"autocommit", on ? "1" : "0"}));
          touched_ = false;
        } else if (assignment.is_default && is_charset(assignment.name) && knows_values) {
          // Not what a connection of the proxy's has by its login.
          set_state(with(state_, {assignment.name, "DEFAULT"}));
          if (assignment.name == "character_set")
            asked_values_.emplace_back("collation_connection");
        } else if (assignment.is_default && knows_values) {
          set_state(without(state_, assignment.name));
        } else if (assignment.is_constant && knows_values) {
          const bool usual =
              assignment.name == "names" && assignment.value == lease_->baseline().names;
          set_state(usual ? without(state_, "names")
                          : with(state_, {assignment.name, assignment.value}));
          // By the default of the database that it was said in.
          if (assignment.name == "character_set")
            asked_values_.emplace_back("collation_connection");
        } else {
          ask_for(assignment.name);
        }
        break;
    }
  }
}

/// On the connection in use it holds already.
void Client::set_state(StateRef fresh) {
  if (fresh == state_) return;
  state_ = std::move(fresh);
  lexing_ = lexing_of(*state_);
  asked_text_ = nullptr;
  if (lease_) lease_->applied = state_;
}

// --- values that only the server knows ----------------------------------------------------------

void Client::ask_for(const std::string& variable) {
  if (variable != "names" && variable != "character_set") {
    if (std::find(asked_values_.begin(), asked_values_.end(), variable) == asked_values_.end()) {
      asked_values_.push_back(variable);
    }
    return;
  }
  for (const char* name :
       {"character_set_client", "character_set_results", "collation_connection"}) {
    asked_values_.emplace_back(name);
  }
}

void Client::ask_values() {
  std::string sql = "SELECT ";
  for (std::size_t i = 0; i < asked_values_.size(); ++i) {
    std::string name = asked_values_[i];
    if (!lease_->baseline().has_tx_isolation && name.starts_with("tx_")) {
      name.replace(0, 2, "transaction");
    }
    if (i > 0) sql += ", ";
    sql += (name.front() == '@' ? "" : "@@session.") + name;
  }
  if (block_ == Block::kNone) block(Block::kReply);
  // MySQL's list of warnings is another behind it.
  if (!lease_->identity().is_mariadb) lease_->diagnostics_of = 0;
  lease_->send(my::Command::kQuery, sql, {Reply::kQuery, Purpose::kValues, 1, false, nullptr});
}

void Client::take_values(net::Bytes row) {
  my::Cursor cursor(row);
  for (const std::string& name : asked_values_) {
    if (cursor.left() == 0) break;
    const bool null = static_cast<std::uint8_t>(row[row.size() - cursor.left()]) == 0xfb;
    const net::Bytes raw = null ? cursor.bytes(1) : cursor.lenenc_string();
    if (name == "last_insert_id") {
      std::uint64_t now = 0;
      std::from_chars(raw.data(), raw.data() + raw.size(), now);
      lease_->insert_id = now;
      // Else nothing has changed what somebody else had left there.
      if (last_.foreign_insert_id != now) last_.insert_id = now;
      last_.foreign_insert_id.reset();
      insert_id_open_ = false;
      continue;
    }
    if (name == "insert_id") {
      lease_->dirty = true;  // nothing else takes it back
      set_state(raw == "0" ? without(state_, name) : with(state_, {name, std::string(raw)}));
      continue;
    }
    std::string value = null ? "NULL" : quoted_value(raw);
    if (name.front() == '@') {
      kept_.keep(name, std::move(value));
      continue;
    }
    if (value.empty()) {
      pin(Feature::kSet);
      continue;
    }
    set_state(with(state_, {name, value}));
  }
}

}  // namespace hyperdrive::proxy::session::mysql
