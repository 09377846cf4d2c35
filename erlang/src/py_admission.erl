%% @doc Who is connected, who may connect. Pure; {@link py_coordinator} keeps it.
-module(py_admission).

-export([new/1, connect/2, expect/3, admit/3, adopt/2, leave/2, forget/2, forget_owner/2, tokens/1, threads/1, serves/2]).
-export_type([admission/0]).

-record(admission, {
    max_workers :: pos_integer(),
    %% A handler has no role until its handshake.
    handlers = #{} :: #{pid() => none | py_handshake:role()},
    %% Each serves once, for the process that asked for it.
    tokens = #{} :: #{py_handshake:token() => pid()},
    threads = 0 :: non_neg_integer()
}).

-opaque admission() :: #admission{}.

-spec new(pos_integer()) -> admission().
new(MaxWorkers) ->
    #admission{max_workers = MaxWorkers}.

%% @doc A handler was started; it alone may be admitted.
-spec connect(pid(), admission()) -> admission().
connect(Handler, Admission) ->
    enter(Handler, none, Admission).

%% @doc `Owner' awaits a connection that shows this token.
-spec expect(py_handshake:token(), pid(), admission()) -> admission().
expect(Token, Owner, #admission{tokens = Tokens} = Admission) ->
    Admission#admission{tokens = Tokens#{Token => Owner}}.

%% @doc Lets a connection in or not; for one with a token, says who awaits it.
-spec admit(pid(), py_handshake:role(), admission()) ->
    {ok, none | {pid(), py_handshake:token()}, admission()} | {refused, binary()}.
admit(Handler, Role, #admission{handlers = Handlers} = Admission) ->
    case Handlers of
        #{Handler := none} -> admit_role(Handler, Role, Admission);
        #{} -> {refused, <<"not a handler in its handshake">>}
    end.

-spec admit_role(pid(), py_handshake:role(), admission()) ->
    {ok, none | {pid(), py_handshake:token()}, admission()} | {refused, binary()}.
admit_role(_Handler, thread, #admission{threads = Threads, max_workers = Max}) when Threads >= Max ->
    {refused, <<"too many workers: ", (integer_to_binary(Max))/binary, " are connected (setting max_workers)">>};
admit_role(Handler, thread, #admission{threads = Threads} = Admission) ->
    {ok, none, enter(Handler, thread, Admission#admission{threads = Threads + 1})};
admit_role(Handler, async, Admission) ->
    %% One for each program, whatever the number of its threads.
    {ok, none, enter(Handler, async, Admission)};
admit_role(Handler, {_, Token} = Role, #admission{tokens = Tokens} = Admission) ->
    case maps:take(Token, Tokens) of
        {Owner, Rest} -> {ok, {Owner, Token}, enter(Handler, Role, Admission#admission{tokens = Rest})};
        error -> {refused, <<"unknown token">>}
    end;
admit_role(_Handler, _Role, _Admission) ->
    {refused, <<"unknown role">>}.

%% @doc A handler that was let in before this was made. Counted as a thread's, as most are.
-spec adopt(pid(), admission()) -> admission().
adopt(Handler, #admission{threads = Threads} = Admission) ->
    enter(Handler, thread, Admission#admission{threads = Threads + 1}).

%% @doc A handler has ended, or has not come far enough to be let in.
-spec leave(pid(), admission()) -> admission().
leave(Handler, #admission{handlers = Handlers, threads = Threads} = Admission) ->
    case maps:take(Handler, Handlers) of
        {thread, Rest} -> Admission#admission{handlers = Rest, threads = Threads - 1};
        {_, Rest} -> Admission#admission{handlers = Rest};
        error -> Admission
    end.

%% @doc The connection with this token is awaited no more.
-spec forget(py_handshake:token(), admission()) -> admission().
forget(Token, #admission{tokens = Tokens} = Admission) ->
    Admission#admission{tokens = maps:remove(Token, Tokens)}.

%% @doc A process has ended; it awaits no connections any more.
-spec forget_owner(pid(), admission()) -> admission().
forget_owner(Owner, #admission{tokens = Tokens} = Admission) ->
    Admission#admission{tokens = maps:filter(fun(_, Pid) -> Pid =/= Owner end, Tokens)}.

%% @doc The tokens of awaited connections.
-spec tokens(admission()) -> [py_handshake:token()].
tokens(#admission{tokens = Tokens}) ->
    maps:keys(Tokens).

%% @doc The handlers of Python threads.
-spec threads(admission()) -> [pid()].
threads(#admission{handlers = Handlers}) ->
    [Pid || {Pid, thread} <- maps:to_list(Handlers)].

%% @doc Whether that is the handler of a thread or a context: one whose end ends a function.
-spec serves(pid(), admission()) -> boolean().
serves(Handler, #admission{handlers = Handlers}) ->
    case Handlers of
        #{Handler := thread} -> true;
        #{Handler := {context, _}} -> true;
        #{} -> false
    end.

-spec enter(pid(), none | py_handshake:role(), admission()) -> admission().
enter(Handler, Role, #admission{handlers = Handlers} = Admission) ->
    Admission#admission{handlers = Handlers#{Handler => Role}}.
