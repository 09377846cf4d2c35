%% @doc What a caller of Python gets: `{ok, Term}' or `{error, Reason}'. Pure but for the atoms it makes of exception names.
-module(py_result).

-export([result/2, reason/1, ended/1, limit/1]).
-export_type([result/0, failure/0]).

-type failure() :: {Exception :: atom(), Message :: binary()} | timeout | interrupted | {host_down, term()} | {max_contexts, pos_integer()}.
-type result() :: {ok, term()} | {error, failure()}.

%% Python code can define classes without end; an atom lives as long as the node.
-define(MAX_NAMES, 1000).

-spec result(py_contexts:outcome(), py_term:policy()) -> result().
result({ok, Payload}, Policy) ->
    case py_term:decode(Payload, Policy) of
        {ok, Term} -> {ok, Term};
        {error, Failure} -> {error, failure(Failure)}
    end;
result({error, Payload}, Policy) ->
    case py_term:decode(Payload, Policy) of
        {ok, Failure} -> {error, failure(Failure)};
        {error, Failure} -> {error, failure(Failure)}
    end;
result(timeout, _Policy) ->
    {error, timeout};
result(interrupted, _Policy) ->
    {error, interrupted};
result({max_contexts, Max}, _Policy) ->
    {error, {max_contexts, Max}};
result({down, Reason}, _Policy) ->
    {error, {host_down, Reason}}.

%% @doc Why an outcome is not a success, for a log or another caller.
-spec reason(py_conversation:outcome()) -> term().
reason(Outcome) ->
    case result(Outcome, safe) of
        {error, {host_down, Reason}} -> Reason;
        {error, Reason} -> Reason;
        {ok, _} -> none
    end.

%% @doc Why a handler has ended, without the words that only supervisors need.
-spec ended(term()) -> term().
ended({shutdown, {unsent, Reason}}) -> Reason;
ended({shutdown, Reason}) -> Reason;
ended(normal) -> closed;
ended(noproc) -> closed;
ended(Reason) -> Reason.

%% @doc A call too large to be sent.
-spec limit({limit, binary()}) -> {error, failure()}.
limit(Limit) ->
    {error, failure(Limit)}.

-spec failure(term()) -> failure().
failure({python, <<"Interrupted">>, _Message, _Traceback}) ->
    interrupted;
failure({python, Name, Message, _Traceback}) when is_binary(Name), is_binary(Message) ->
    {exception(Name), Message};
failure({Kind, Text}) when is_binary(Text), (Kind =:= limit orelse Kind =:= bad_term) ->
    {'ValueError', Text};
failure({type, Text}) when is_binary(Text) ->
    {'TypeError', Text};
failure({disconnected, Text}) when is_binary(Text) ->
    {host_down, Text};
failure(Other) ->
    {'Exception', py_text:line(Other, 1000)}.

-spec exception(binary()) -> atom().
exception(Name) ->
    try
        binary_to_existing_atom(Name)
    catch
        error:_ -> new_exception(Name)
    end.

-spec new_exception(binary()) -> atom().
new_exception(Name) ->
    case py_registry:count_name() =< ?MAX_NAMES of
        true ->
            try binary_to_atom(Name) catch error:_ -> 'Exception' end;
        false ->
            'Exception'
    end.
