%% @doc What Python can ask of the node besides the registered functions (PROTOCOL.md, section 4).
-module(py_operation).

-export([run/2]).

-spec run(term(), term()) -> py_function:result().
run(registered, [Name]) when is_binary(Name) ->
    {ok, py_registry:lookup(Name) =/= error};
run(functions, []) ->
    {ok, py_registry:names()};
run(send, [Dest, Term]) when is_pid(Dest); is_binary(Dest); is_atom(Dest) ->
    permitted(send, Dest, fun() -> send(Dest, Term) end);
run(whereis, [Name]) when is_binary(Name); is_atom(Name) ->
    permitted('whereis', Name, fun() -> {ok, registered(Name)} end);
run(cancel, [Handler]) when is_pid(Handler) ->
    {ok, py_coordinator:dismiss(Handler)};
run(state_get, [Key]) ->
    case py_state:fetch(Key) of
        {ok, Value} -> {ok, Value};
        {error, not_found} -> {ok, none}
    end;
run(state_set, [Key, Value]) ->
    case py_state:store(Key, Value) of
        ok -> {ok, ok};
        {error, {max_state_entries, Max}} -> {error, py_failure:table_full(Max)}
    end;
run(state_delete, [Key]) ->
    {ok, py_state:remove(Key)};
run(state_keys, []) ->
    {ok, py_state:keys()};
run(state_clear, []) ->
    {ok, py_state:clear()};
run(state_incr, [Key, N]) when is_integer(N) ->
    add(Key, N);
run(state_decr, [Key, N]) when is_integer(N) ->
    add(Key, -N);
run(stream_item, [Ref, Item]) when is_reference(Ref) ->
    {ok, py_stream:item(Ref, Item)};
run(log, [Level, Logger, Thread, Message]) when is_integer(Level), is_binary(Logger), is_binary(Thread), is_binary(Message) ->
    %% Without a domain: the default handler drops those it does not know.
    ok = logger:log(level(Level), Message, #{python_logger => Logger, python_thread => Thread}),
    {ok, none};
run(Target, Args) ->
    {error, py_failure:bad_term(<<"not a call: ", (py_text:line({Target, Args}, 200))/binary>>)}.

%% Refuses unless the setting `send' allows it. A list refuses pids, of this node and of others:
%% code in a host can make up any pid.
-spec permitted(send | 'whereis', pid() | binary() | atom(), fun(() -> py_function:result())) -> py_function:result().
permitted(Operation, Dest, Do) ->
    case py_settings:get(send) of
        any -> Do();
        none -> refused(Operation, Dest, <<"allows none">>);
        _Names when is_pid(Dest) -> refused(Operation, Dest, <<"allows registered names alone">>);
        Names ->
            case lists:member(py_registry:name(Dest), Names) of
                true -> Do();
                false -> refused(Operation, Dest, <<"does not list that name">>)
            end
    end.

-spec refused(send | 'whereis', pid() | binary() | atom(), binary()) -> py_function:result().
refused(Operation, Dest, Why) ->
    To = case is_pid(Dest) of true -> py_text:line(Dest, 100); false -> [$', py_registry:name(Dest), $'] end,
    Text = ["erlang.", atom_to_binary(Operation), " to ", To, " is refused: the node's setting send ", Why],
    {error, py_failure:refused(iolist_to_binary(Text))}.

%% A process of another node may be gone too, but nobody here knows.
-spec send(pid() | binary() | atom(), term()) -> py_function:result().
send(Pid, Term) when is_pid(Pid) ->
    case node(Pid) =/= node() orelse is_process_alive(Pid) of
        true ->
            Pid ! Term,
            {ok, ok};
        false ->
            {error, py_failure:process(<<"process ", (py_text:line(Pid, 100))/binary, " is not alive">>)}
    end;
send(Name, Term) ->
    case registered(Name) of
        none -> {error, py_failure:process(<<"no process is registered as '", (py_registry:name(Name))/binary, "'">>)};
        Pid -> send(Pid, Term)
    end.

%% A name may belong to a port, which takes no messages but its own.
-spec registered(binary() | atom()) -> pid() | none.
registered(Name) when is_binary(Name) ->
    try binary_to_existing_atom(Name) of
        Atom -> registered(Atom)
    catch
        error:badarg -> none
    end;
registered(Name) ->
    case whereis(Name) of
        Pid when is_pid(Pid) -> Pid;
        _ -> none
    end.

-spec add(term(), integer()) -> py_function:result().
add(Key, N) ->
    try
        {ok, py_state:incr(Key, N)}
    catch
        error:badarg -> {error, py_failure:bad_term(<<"the value of ", (py_text:line(Key, 200))/binary, " is not an integer">>)};
        error:{max_state_entries, Max} -> {error, py_failure:table_full(Max)}
    end.

%% Python's numbers leave room between and above its names.
-spec level(integer()) -> logger:level().
level(Level) when Level >= 50 -> critical;
level(Level) when Level >= 40 -> error;
level(Level) when Level >= 30 -> warning;
level(Level) when Level >= 20 -> info;
level(_) -> debug.
