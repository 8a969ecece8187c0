function y = ifft2(x, varargin)
% Octave's ifft2 with the symmetry flag that MATLAB's takes and Octave's refuses.
flag = '';
if ~isempty(varargin) && ischar(varargin{end})
    flag = varargin{end};
    varargin(end) = [];
end
y = builtin('ifft2', x, varargin{:});
if strcmp(flag, 'symmetric')
    y = real(y);
end
end
