#include "proxy/sql/statement_reader.hpp"

#include <algorithm>
#include <array>

namespace hyperdrive::proxy::sql {
namespace {

constexpr int kCursorHold = 0x0020;  // CURSOR_OPT_HOLD, nodes/parsenodes.h

bool is_temporary(Node range_var) {
  const std::string_view schema = range_var["schemaname"].text();
  return range_var["relpersistence"].text() == "t" || schema == "pg_temp";
}

/// "CreateTableAsStmt" becomes "CREATE TABLE AS".
std::string command_words(std::string_view type) {
  if (type.ends_with("Stmt")) type.remove_suffix(4);
  std::string words;
  for (const char c : type) {
    if (c >= 'A' && c <= 'Z' && !words.empty()) words += ' ';
    words += (c >= 'a' && c <= 'z') ? static_cast<char>(c - ('a' - 'A')) : c;
  }
  return words;
}

bool names_only_temp(Node names) {
  const std::vector<std::string> list = name_list(names);
  return list.size() > 1 && list.front() == "pg_temp";
}

TransactionOptions transaction_options(Node transaction) {
  TransactionOptions options;
  options.chain = transaction["chain"].is_true();
  for (const Node element : transaction["options"]) {
    const Node option = element.as("DefElem");
    const std::string_view name = option["defname"].text();
    const Node constant = option["arg"].as("A_Const");
    const bool on = constant["ival"]["ival"].text() == "1";
    if (name == "transaction_isolation") {
      options.isolation = constant_string(constant).value_or("");
    } else if (name == "transaction_read_only") {
      options.read_only = on;
    } else if (name == "transaction_deferrable") {
      options.deferrable = on;
    }
  }
  return options;
}

/// EXPLAIN (ANALYZE …): the last one given counts, as defGetBoolean reads it.
bool runs_the_query(Node explain) {
  bool analyze = false;
  for (const Node element : explain["options"]) {
    const Node option = element.as("DefElem");
    if (option["defname"].text() != "analyze") continue;
    const Node value = option["arg"];
    if (!value) {
      analyze = true;
    } else if (const Node word = value.as("String")) {
      const std::string_view text = word["sval"].text();
      analyze = text != "false" && text != "off" && text != "0" && text != "FALSE" && text != "OFF";
    } else {
      analyze = value.as("Integer")["ival"].text() == "1";
    }
  }
  return analyze;
}

/// Carries the statement being read and where its queries are read to.
class Classifier {
 public:
  Classifier(Statement& statement, std::string_view text, QueryReader& reader)
      : statement_(statement), text_(text), reader_(reader) {}

  void run(Node content, std::string_view type) {
    statement_.command = command_words(type);
    if (transactional(content, type) || querying(content, type) || sessional(content, type) ||
        harmless(type)) {
      return;
    }
    defining(content, type);
  }

 private:
  void read(Node content, std::string_view type) { reader_.read(content, type, statement_); }

  void unknown(Effect effect = Effect::kUnknownWrite) {
    statement_.effect = effect;
    statement_.unknown_targets = true;
  }

  bool transactional(Node content, std::string_view type) {
    if (type != "TransactionStmt") return false;
    const std::string_view kind = content["kind"].text().substr(11);  // behind "TRANS_STMT_"
    statement_.transaction = transaction_options(content);
    statement_.argument = content["savepoint_name"].text();
    constexpr std::array<std::pair<std::string_view, Effect>, 10> kKinds = {{
        {"BEGIN", Effect::kBegin},
        {"START", Effect::kBegin},
        {"COMMIT", Effect::kCommit},
        {"ROLLBACK", Effect::kRollback},
        {"SAVEPOINT", Effect::kSavepoint},
        {"RELEASE", Effect::kRelease},
        {"ROLLBACK_TO", Effect::kRollbackTo},
        {"PREPARE", Effect::kPrepareTransaction},
        {"COMMIT_PREPARED", Effect::kCommit},
        {"ROLLBACK_PREPARED", Effect::kRollback},
    }};
    for (const auto& [name, effect] : kKinds) {
      if (name == kind) statement_.effect = effect;
    }
    statement_.command = kind == "START" ? "START TRANSACTION" : std::string(kind);
    std::replace(statement_.command.begin(), statement_.command.end(), '_', ' ');
    if (kind == "PREPARE") statement_.command = "PREPARE TRANSACTION";
    if (kind.ends_with("PREPARED") || kind == "PREPARE") {
      statement_.argument = content["gid"].text();
    }
    statement_.unknown_targets = kind == "COMMIT_PREPARED";
    return true;
  }

  bool querying(Node content, std::string_view type) {
    if (type == "SelectStmt") {
      select(content);
    } else if (type == "InsertStmt" || type == "UpdateStmt" || type == "DeleteStmt" ||
               type == "MergeStmt") {
      statement_.effect = Effect::kWrite;
      read(content, type);
      const bool updates = content["onConflictClause"]["action"].text() == "ONCONFLICT_UPDATE";
      statement_.only_adds = type == "InsertStmt" && !updates && statement_.writes.size() == 1;
    } else if (type == "TruncateStmt") {
      statement_.effect = Effect::kWrite;
      add_targets(content["relations"]);
      // CASCADE reaches whatever has a foreign key to these, at any depth.
      statement_.unknown_targets = content["behavior"].text() == "DROP_CASCADE";
    } else if (type == "RefreshMatViewStmt") {
      statement_.command = "REFRESH MATERIALIZED VIEW";
      statement_.effect = Effect::kWrite;
      statement_.writes.push_back(relation_name(content["relation"]));
    } else if (type == "CopyStmt") {
      copy(content);
    } else if (type == "ExplainStmt") {
      explain(content);
    } else if (type == "DeclareCursorStmt") {
      statement_.command = "DECLARE CURSOR";
      read_wrapped(content["query"]);
      statement_.effect = Effect::kDeclareCursor;
      statement_.argument = content["portalname"].text();
      if (content["options"].number() & kCursorHold) statement_.state |= state::kHoldCursor;
    } else if (type == "CreateTableAsStmt") {
      statement_.command = "CREATE TABLE AS";
      read_wrapped(content["query"]);
      create(is_temporary(content["into"]["rel"]));
    } else {
      return false;
    }
    return true;
  }

  void select(Node content) {
    statement_.command = content["valuesLists"] ? "VALUES" : "SELECT";
    read(content, "SelectStmt");
    statement_.effect = statement_.writes.empty() ? Effect::kRead : Effect::kWrite;
    // Of a set operation only the leftmost query may have INTO.
    for (Node query = content; query; query = query["larg"]) {
      if (const Node into = query["intoClause"]) {
        statement_.command = "SELECT INTO";
        create(is_temporary(into["rel"]));
      }
    }
  }

  void create(bool temporary) {
    if (temporary) {
      statement_.effect = Effect::kCreateTemp;
      statement_.state |= state::kTempObject;
    } else {
      unknown();
    }
  }

  void read_wrapped(Node wrapper) {
    const Node inner = wrapper.unwrap();
    if (!inner) return;
    if (inner.key() == "ExecuteStmt") {
      statement_.unknown_targets = true;
      return;
    }
    read(inner, inner.key());
  }

  void add_targets(Node relations) {
    for (const Node element : relations) {
      if (const Node relation = element.as("RangeVar")) {
        statement_.writes.push_back(relation_name(relation));
      }
    }
  }

  void copy(Node content) {
    if (content["is_from"].is_true()) {
      statement_.effect = Effect::kWrite;
      statement_.only_adds = true;
      statement_.writes.push_back(relation_name(content["relation"]));
      if (content["whereClause"]) read_wrapped(content["whereClause"]);
      return;
    }
    read_wrapped(content["query"]);
    if (const Node relation = content["relation"]) read(relation, "RangeVar");  // its policies
    statement_.effect = statement_.writes.empty() ? Effect::kCopyTo : Effect::kWrite;
  }

  void explain(Node content) {
    const Node inner = content["query"].unwrap();
    if (!runs_the_query(content) || !inner) {
      statement_.effect = Effect::kExplain;
      statement_.command = "EXPLAIN";
      return;
    }
    run(inner, inner.key());
    statement_.command = "EXPLAIN ANALYZE";
    if (statement_.effect == Effect::kRead) statement_.effect = Effect::kExplain;
  }

  bool sessional(Node content, std::string_view type) {
    if (type == "VariableSetStmt") {
      set(content);
    } else if (type == "VariableShowStmt") {
      named(Effect::kShow, "SHOW", content["name"]);
    } else if (type == "PrepareStmt") {
      named(Effect::kPrepare, "PREPARE", content["name"]);
    } else if (type == "ExecuteStmt") {
      named(Effect::kExecute, "EXECUTE", content["name"]);
      statement_.unknown_targets = true;
    } else if (type == "DeallocateStmt") {
      named(Effect::kDeallocate, "DEALLOCATE", content["name"]);
    } else if (type == "ListenStmt") {
      named(Effect::kListen, "LISTEN", content["conditionname"]);
    } else if (type == "UnlistenStmt") {
      named(Effect::kUnlisten, "UNLISTEN", content["conditionname"]);
    } else if (type == "NotifyStmt") {
      named(Effect::kNotify, "NOTIFY", content["conditionname"]);
    } else if (type == "DiscardStmt") {
      named(Effect::kDiscard, "DISCARD", content["target"]);
      if (statement_.argument.starts_with("DISCARD_")) statement_.argument.erase(0, 8);
    } else if (type == "ClosePortalStmt") {
      named(Effect::kClose, "CLOSE", content["portalname"]);
    } else if (type == "FetchStmt") {
      named(Effect::kFetch, content["ismove"].is_true() ? "MOVE" : "FETCH", content["portalname"]);
    } else if (type == "LockStmt") {
      statement_.effect = Effect::kLock;
    } else if (type == "LoadStmt") {
      statement_.effect = Effect::kOther;
      statement_.state |= state::kLoad;
    } else {
      return false;
    }
    return true;
  }

  void named(Effect effect, std::string_view command, Node name) {
    statement_.effect = effect;
    statement_.command = command;
    statement_.argument = name.text();
  }

  void set(Node content) {
    const bool reset = content["kind"].text().starts_with("VAR_RESET");
    statement_.command = reset ? "RESET" : "SET";
    statement_.settings = read_settings(content, text_);
    if (reset) {
      statement_.effect = Effect::kReset;
      return;
    }
    const bool local = !statement_.settings.empty() && statement_.settings.front().is_local;
    statement_.effect = local ? Effect::kSetLocal : Effect::kSet;
  }

  bool harmless(std::string_view type) {
    // They change neither rows nor the meaning of names.
    constexpr std::array<std::string_view, 4> kHarmless = {"VacuumStmt", "CheckPointStmt",
                                                           "ReindexStmt", "ClusterStmt"};
    if (std::find(kHarmless.begin(), kHarmless.end(), type) == kHarmless.end()) return false;
    statement_.effect = Effect::kOther;
    return true;
  }

  /// DDL, DO, CALL and all the rest.
  void defining(Node content, std::string_view type) {
    bool temporary = false;
    for (const char* key : {"relation", "view", "sequence"}) {
      if (type.starts_with("Create") || type == "ViewStmt") {
        temporary = temporary || is_temporary(content[key]);
      }
    }
    temporary = temporary || names_only_temp(content["funcname"]) ||
                names_only_temp(content["defnames"]) || names_only_temp(content["typeName"]) ||
                is_temporary(content["typevar"]);
    if (type == "ViewStmt") statement_.command = "CREATE VIEW";
    if (type == "IndexStmt") statement_.command = "CREATE INDEX";
    if (type == "CreateStmt") statement_.command = "CREATE TABLE";
    create(temporary);
    if (type == "DoStmt" || type == "CallStmt") {
      statement_.state |= state::kUnknown;  // their SET outlives them
      if (const Node call = content["funccall"]) read(call, "FuncCall");
    }
  }

  Statement& statement_;
  std::string_view text_;
  QueryReader& reader_;
};

}  // namespace

Statement read_statement(Node wrapper, std::string_view text, QueryReader& reader) {
  Statement statement;
  const Node content = wrapper.unwrap();
  Classifier(statement, text, reader).run(content, content.key());
  return statement;
}

bool is_literal_blind(Node wrapper) {
  constexpr std::array<std::string_view, 5> kBlind = {"SelectStmt", "InsertStmt", "UpdateStmt",
                                                      "DeleteStmt", "MergeStmt"};
  const std::string_view type = wrapper.unwrap().key();
  return std::find(kBlind.begin(), kBlind.end(), type) != kBlind.end();
}

}  // namespace hyperdrive::proxy::sql
